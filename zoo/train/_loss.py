from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PRNGKeyArray

from .._custom_types import Scalar
from .._draws import Draws
from ..estimators import reparameterised
from ..models import AbstractVAE, draw_keys, given
from ..penalties import AbstractBorrowingPenalty


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
    keys, penalty_key = batch_keys(key, len(xs))
    return loss_and_draws(
        model, xs, ys, keys, objective=objective, k=k, estimator=estimator, penalties=penalties,
        penalty_key=penalty_key,
    )[0]  # fmt: skip


def batch_keys(key: PRNGKeyArray, n: int) -> tuple[Key[Array, " n"], PRNGKeyArray]:
    """The keys of each example's draws, and of the penalties."""
    draw_key, penalty_key = jr.split(key)
    return jr.split(draw_key, n), penalty_key


def loss_and_draws(
    model, xs, ys, keys, *, objective, k, estimator, penalties, penalty_key, axis_name: str | None = "batch"
) -> tuple[Scalar, Draws]:
    """`loss`, with the batch of draws that it judged. `axis_name`: by which layers know the batch, if they may."""

    def judged(x, y, key):
        here = given(model, y)
        return estimator(objective, here.propose(x, here.posterior(x), draw_keys(key, k)))

    values, draws = jax.vmap(judged, axis_name=axis_name)(xs, ys, keys)
    value = -jnp.mean(values)
    for i, penalty in enumerate(penalties):
        penalty = penalty.of(model, ys) if isinstance(penalty, AbstractBorrowingPenalty) else penalty
        value = value + penalty(draws, key=jr.fold_in(penalty_key, i))
    return value, draws
