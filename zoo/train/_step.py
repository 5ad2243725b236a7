from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from .._constants import keep_trainable, split_trainable
from .._custom_types import Scalar
from ..estimators import reparameterised
from ..models import AbstractVAE
from ._checks import check_mesh, check_microbatches
from ._gradient import differentiate_loss
from ._judgement import Judgement


Model = TypeVar("Model", bound=AbstractVAE)
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
        self.opt_state = optimiser.init(keep_trainable(model))
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
    microbatches: int = 1,
    mesh: Mesh | None = None,
) -> tuple[TrainState, dict[str, Scalar]]:
    """Takes one step of the optimiser on one batch.

    **Arguments:** `state`: a `TrainState`; `xs`: what the model sees, `(batch, ...)` floats; `optimiser`: the
    one that made the state; `microbatches`, `mesh`: as in `fit`; the others as in `loss`.

    **Returns:** the next state, and the batch's means in nats: `loss`; `elbo`, the mean log-weight; its parts
    `log_likelihood` and `rate` (log q(z|x) - log p(z)), NaN where q has no density; `gradient_norm`; and with
    `optax.apply_if_finite` in the optimiser `skipped`, how many batches it has left out so far.
    """
    devices = 1
    if mesh is not None:
        check_mesh("step", mesh, len(xs))
        devices = mesh.size
    check_microbatches("step", state.model, microbatches, batch_size=len(xs), penalties=penalties, devices=devices)
    judgement = Judgement(objective, k, estimator, penalties)
    return advance(state, xs, ys, judgement, optimiser, microbatches=microbatches, mesh=mesh)


def advance(
    state: TrainState, xs, ys, judgement: Judgement, optimiser: optax.GradientTransformation, *, microbatches: int,
    mesh: Mesh | None,
) -> tuple[TrainState, dict[str, Scalar]]:  # fmt: skip
    """Takes one step inside a larger program; `step` is this in a program of its own."""
    judgement = judgement.at(state.step)
    _, draw_key = split_step_key(state)
    params, static = split_trainable(state.model)

    def differentiate(params):
        model = eqx.combine(params, static)
        metrics, gradient = differentiate_loss(
            model, xs, ys, judgement, microbatches=microbatches, mesh=mesh, key=draw_key
        )
        return metrics, keep_trainable(gradient)

    metrics, gradient = differentiate(params)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        updates, opt_state = optax.with_extra_args_support(optimiser).update(
            gradient, state.opt_state, params, value=metrics["loss"], grad=gradient, value_fn=_loss_of(differentiate)
        )
    metrics = metrics | {"gradient_norm": optax.tree.norm(gradient)} | count_skipped(opt_state)
    after = (eqx.apply_updates(state.model, updates), opt_state, state.step + 1)
    return eqx.tree_at(lambda s: (s.model, s.opt_state, s.step), state, after), metrics


def _loss_of(differentiate: Callable) -> Callable[[PyTree], Scalar]:
    """Makes the loss of the step's batch a function of the weights, with the same draws: for a line search.

    Its derivative is the gradient that training takes, over microbatches and devices too. Nothing of it is traced
    unless the optimiser calls it.
    """

    @jax.custom_jvp
    def value_fn(params):
        return differentiate(params)[0]["loss"]

    @value_fn.defjvp
    def differentiate_value(primals, tangents):
        metrics, gradient = differentiate(*primals)
        return metrics["loss"], optax.tree.vdot(gradient, *tangents)

    return value_fn


def split_step_key(state: TrainState) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """Makes the keys of this step: for what the model sees of the data, and for its draws."""
    observe_key, draw_key = jr.split(jr.fold_in(state.key, state.step))
    return observe_key, draw_key


def count_skipped(opt_state: PyTree) -> dict[str, Int[Array, ""]]:
    """Counts the updates that `optax.apply_if_finite` has left out, where it is part of the optimiser."""
    is_guard = lambda node: isinstance(node, optax.ApplyIfFiniteState)
    guards = [node for node in jax.tree.leaves(opt_state, is_leaf=is_guard) if is_guard(node)]
    return {"skipped": guards[0].total_notfinite} if guards else {}
