from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array

from ..models import draw_keys, given, observe_example
from ..nn import give_keys
from ..penalties import AbstractBorrowingPenalty
from ._judgement import Judgement
from ._loss import split_batch_key
from ._recipe import Recipe
from ._step import TrainState, split_step_key


def diagnose(state: TrainState, xs: Array, ys: Array | None, recipe: Recipe) -> str:
    """Say which part of a step was the first that is not finite, and what cures that.

    **Arguments:** `state`: before the step; `xs`, `ys`: its examples, as they were given, and their labels.
    """
    judgement = recipe.judgement.at(state.step)
    found = _evaluate(state, xs, ys, judgement, recipe.observe)
    for part, cure in _CURES.items():
        for name, values in _flatten(found[part]):
            bad = np.argwhere(~np.isfinite(values))
            if len(bad):
                when = "already at initialisation" if int(state.step) == 0 else "after steps that were finite"
                place = "" if name is None else f" `{name}`"
                return f"{part}{place} is first {values[tuple(bad[0])]}{_place(part, bad[0])}, {when}; {cure}"
    return "every part of the loss is finite, and its gradient is not; clip it (`optax.clip_by_global_norm`)"


# In the order in which they are computed; each with what helps where it is the first that is not finite.
_CURES = {
    "the model's weight": "lower the learning rate, or go on from an earlier checkpoint",
    "what `observe` makes of the data": "repair those examples, or the function",
    "the encoder's output": "build the model with `units=zoo.data.units(xs)`, or lower the learning rate",
    "the draw from the posterior": "build the model with `units=zoo.data.units(xs)`, or lower the learning rate",
    "the decoder's output": "lower the learning rate; build the model with `units=zoo.data.units(xs)`",
    "the likelihood": "look at that example for values outside the likelihood's support, or lower the learning rate",
    "the prior": "lower the learning rate, or use `priors.StandardNormal`",
    "the posterior's density": "lower the learning rate, or use `posteriors.DiagonalNormal`",
    "the penalty": "lower its weight",
}


@eqx.filter_jit
def _evaluate(state: TrainState, xs: Array, ys: Array | None, judgement: Judgement, observe: Any) -> dict[str, Any]:
    """Evaluates the parts of a step's loss, with the draws that the step makes."""
    model = state.model
    observe_key, draw_key = split_step_key(state)
    keys, penalty_key = split_batch_key(draw_key, len(xs))

    def judge(x, y, key, observe_key):
        seen = observe_example(model, observe, x, key=observe_key)
        of_label = give_keys(given(model, y), key=jr.fold_in(key, 2**32 - 1))
        proposal = of_label.propose(seen, posterior := of_label.posterior(seen), draw_keys(key, judgement.k))
        draws = proposal.score()
        parameters = jax.vmap(of_label.decode, axis_name="k")(draws.z)
        return seen, eqx.filter(posterior, eqx.is_inexact_array), parameters, draws

    over_batch = jax.vmap(judge, axis_name="batch")
    seen, posterior, parameters, draws = over_batch(xs, ys, keys, jr.split(observe_key, len(xs)))
    penalties = []
    for i, penalty in enumerate(judgement.penalties):
        penalty = penalty.of(model, ys) if isinstance(penalty, AbstractBorrowingPenalty) else penalty
        penalties.append(penalty(draws, key=jr.fold_in(penalty_key, i)))
    nothing = jnp.zeros(())
    parts = (
        eqx.filter(model, eqx.is_inexact_array), seen, posterior, draws.z, parameters, draws.log_likelihood,
        draws.log_prior, nothing if draws.log_posterior is None else draws.log_posterior, penalties,
    )  # fmt: skip
    return dict(zip(_CURES, parts, strict=True))


def _flatten(tree: Any) -> list[tuple[str | None, np.ndarray]]:
    leaves, _ = jtu.tree_flatten_with_path(eqx.filter(tree, eqx.is_inexact_array))
    return [(jtu.keystr(path) or None, np.asarray(leaf)) for path, leaf in leaves]


def _place(part: str, index: Any) -> str:
    index = tuple(int(i) for i in index)
    if not index or part in ("the model's weight", "the penalty"):
        return f" at index {index}" if index else ""
    inside = index[1:] if part in ("what `observe` makes of the data", "the encoder's output") else index[2:]
    return f" for example {index[0]} of the batch" + (f", at index {inside}" if inside else "")
