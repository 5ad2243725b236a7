import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import PRNGKeyArray, PyTree

from .._custom_types import Scalar
from .._draws import Draws
from ..models import AbstractVAE
from ._loss import batch_keys, loss_and_draws


def metrics_and_gradient(
    model: AbstractVAE, xs, ys, *, microbatches: int = 1, key: PRNGKeyArray, **settings
) -> tuple[dict[str, Scalar], PyTree]:
    r"""What a batch measures, means over its examples, and the gradient of its loss.

    In n microbatches it is the mean of the gradients of n parts of equal size, one after the other, with the draws
    that the examples have without. `settings` are those of `loss`.
    """
    keys, penalty_key = batch_keys(key, len(xs))

    def part(xs, ys, keys):
        # Without a name for the batch a layer that looks at it fails, where it would see a part only.
        axis_name = "batch" if microbatches == 1 else None
        (value, draws), gradient = eqx.filter_value_and_grad(loss_and_draws, has_aux=True)(
            model, xs, ys, keys, **settings, penalty_key=penalty_key, axis_name=axis_name
        )
        return _metrics(value, draws), gradient

    if microbatches == 1:
        return part(xs, ys, keys)
    # Every n-th example, so that each device of a mesh, which has a run of examples, has its share of each part.
    parts = jax.tree.map(lambda a: a.reshape(-1, microbatches, *a.shape[1:]).swapaxes(0, 1), (xs, ys, keys))
    shapes = eqx.filter_eval_shape(part, *jax.tree.map(lambda a: a[0], parts))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    total, _ = lax.scan(lambda total, some: (jax.tree.map(jnp.add, total, part(*some)), None), zeros, parts)
    return jax.tree.map(lambda leaf: leaf / microbatches, total)


def _metrics(value: Scalar, draws: Draws) -> dict[str, Scalar]:
    bounded, nothing = draws.log_posterior is not None, jnp.full_like(value, jnp.nan)
    return {
        "loss": value,
        "elbo": jnp.mean(draws.log_weight) if bounded else nothing,
        "log_likelihood": jnp.mean(draws.log_likelihood),
        "rate": jnp.mean(draws.rate) if bounded else nothing,
    }
