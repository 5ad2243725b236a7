from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ..estimators import reparameterised
from ..models import AbstractVAE
from ..objectives import at_step
from ._loss import loss_and_draws


METRICS = ("loss", "elbo", "log_likelihood", "rate", "gradient_norm")


class TrainState(eqx.Module):
    """Everything that training carries from one step to the next, as one PyTree.

    All randomness of step t is `fold_in(key, t)`, so a saved state continues as if never stopped.

    **Arguments:** `model`: untrained; `optimiser`: an optax one, whose state starts here.
    """

    model: AbstractVAE
    opt_state: PyTree
    key: PRNGKeyArray
    step: Int[Array, ""]

    def __init__(self, model: AbstractVAE, optimiser: optax.GradientTransformation, *, key: PRNGKeyArray):
        self.model = model
        self.opt_state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))
        self.key = key
        self.step = jnp.zeros((), jnp.int32)


@eqx.filter_jit
def step(
    state: TrainState,
    xs: Float[Array, " batch ..."],
    *,
    ys: Array | None = None,
    objective: Any,
    optimiser: optax.GradientTransformation,
    k: int = 1,
    estimator: Any = reparameterised,
    penalties: tuple = (),
) -> tuple[TrainState, dict[str, Scalar]]:
    """One step of the optimiser on one batch.

    **Arguments:** `state`: a `TrainState`; `xs`: what the model sees, `(batch, ...)` floats; `optimiser`: the
    one that made the state; the others as in `loss`.

    **Returns:** the next state, and the batch's means in nats: `loss`; `elbo`, the mean log-weight; its parts
    `log_likelihood` and `rate` (log q(z|x) - log p(z)), NaN where q has no density; `gradient_norm`; and with
    `optax.apply_if_finite` in the optimiser `skipped`, how many batches it has left out so far.
    """
    settings = dict(objective=objective, k=k, estimator=estimator, penalties=penalties)
    return advance(state, xs, ys, optimiser=optimiser, **settings)


def advance(state: TrainState, xs, ys, *, objective, optimiser, k, estimator, penalties):
    """`step` without its own jit, for use inside a larger program."""
    objective = at_step(objective, state.step)
    _, draw_key = step_keys(state)
    (value, draws), gradient = eqx.filter_value_and_grad(loss_and_draws, has_aux=True)(
        state.model, xs, ys, objective=objective, k=k, estimator=estimator, penalties=penalties, key=draw_key
    )
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        updates, opt_state = optimiser.update(gradient, state.opt_state, eqx.filter(state.model, eqx.is_inexact_array))
    bounded, nothing = draws.log_posterior is not None, jnp.full_like(value, jnp.nan)
    metrics = {
        "loss": value,
        "elbo": jnp.mean(draws.log_weight) if bounded else nothing,
        "log_likelihood": jnp.mean(draws.log_likelihood),
        "rate": jnp.mean(draws.rate) if bounded else nothing,
        "gradient_norm": optax.tree.norm(gradient),
        **skipped(opt_state),
    }
    after = (eqx.apply_updates(state.model, updates), opt_state, state.step + 1)
    return eqx.tree_at(lambda s: (s.model, s.opt_state, s.step), state, after), metrics


def step_keys(state: TrainState) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The keys of this step: for what the model sees of the data, and for its draws."""
    observe_key, draw_key = jr.split(jr.fold_in(state.key, state.step))
    return observe_key, draw_key


def skipped(opt_state: PyTree) -> dict[str, Int[Array, ""]]:
    """How many updates `optax.apply_if_finite` has left out, where it is part of the optimiser."""
    is_guard = lambda node: isinstance(node, optax.ApplyIfFiniteState)
    guards = [node for node in jax.tree.leaves(opt_state, is_leaf=is_guard) if is_guard(node)]
    return {"skipped": guards[0].total_notfinite} if guards else {}
