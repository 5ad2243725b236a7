from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PRNGKeyArray

from .._custom_types import Scalar
from .._draws import Draws
from ..estimators import reparameterised
from ..models import AbstractVAE, draw_keys, given
from ..nn import give_keys
from ..penalties import AbstractBorrowingPenalty
from ._judgement import Judgement


def loss(
    model: AbstractVAE,
    xs: Float[Array, " batch ..."],
    *,
    ys: Array | None = None,
    objective: Callable[[Draws], Scalar],
    k: int = 1,
    estimator: Callable = reparameterised,
    penalties: Sequence[Callable] = (),
    key: PRNGKeyArray,
) -> Scalar:
    r"""Minus the mean objective of a batch, plus penalties: what training minimises, in nats.

    $$-\frac1n \sum_{j=1}^n \text{objective}(\text{draws}_j) + \sum_p \text{penalty}_p(\text{draws})$$

    **Arguments:**

    - `model`: any of the zoo's models.
    - `xs`: what the model sees, `(batch, ...)` floats.
    - `ys`: labels `(batch, ...)`, for a `ConditionalVAE`.
    - `objective`: one of `zoo.objectives`, `Draws -> scalar` for one example, to be maximised.
    - `k`: latents drawn for each example.
    - `estimator`: one of `zoo.estimators`; how the draws are differentiated.
    - `penalties`: functions `(Draws of the batch, *, key) -> scalar`, as in `zoo.penalties`, or those with an `of`
      that makes such a function of the model.
    - `key`: for the draws and the penalties.
    """
    keys, penalty_key = split_batch_key(key, len(xs))
    value, _ = judge_batch(Judgement(objective, k, estimator, penalties), model, xs, ys, keys, penalty_key=penalty_key)
    return value


def split_batch_key(key: PRNGKeyArray, n: int) -> tuple[Key[Array, " n"], PRNGKeyArray]:
    """Makes the keys of each example's draws, and that of the penalties."""
    draw_key, penalty_key = jr.split(key)
    return jr.split(draw_key, n), penalty_key


def judge_batch(
    judgement: Judgement, model: AbstractVAE, xs, ys, keys, *, axis_name: str | None = "batch", penalty_key
) -> tuple[Scalar, Draws]:
    """Computes the loss of a batch, and the draws of which it is the loss.

    **Arguments:** `keys`: one for each example; `axis_name`: the name by which layers average over the batch, or `None`
    where they must not.
    """

    def judge(x, y, key):
        # Draws take the keys of small numbers; the last number is that of networks with dropout.
        of_label = give_keys(given(model, y), key=jr.fold_in(key, 2**32 - 1))
        proposal = of_label.propose(x, of_label.posterior(x), draw_keys(key, judgement.k))
        return judgement.estimator(judgement.objective, proposal)

    values, draws = jax.vmap(judge, axis_name=axis_name)(xs, ys, keys)
    value = -jnp.mean(values)
    for i, penalty in enumerate(judgement.penalties):
        penalty = penalty.of(model, ys) if isinstance(penalty, AbstractBorrowingPenalty) else penalty
        value = value + penalty(draws, key=jr.fold_in(penalty_key, i))
    return value, draws
