import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ..models import AbstractVAE
from ._plane_grid import plane_grid


def model_log_density(
    model: AbstractVAE, *, bounds: Sequence, size: int = 200, k: int = 5000, key: PRNGKeyArray
) -> Float[np.ndarray, " size size"]:
    r"""A model's log-density over a window of the plane, observation noise included, for `density_2d`.

    $$\log p(x) \approx \log \frac1k \sum_{i=1}^k p(x \mid z_i), \qquad z_i \sim p(z)$$

    The same k latents serve every point, so the picture is a density itself: a mixture of k observations
    that integrates to one.

    **Arguments:** `model`: of data `(2,)`; `bounds`, `size`: as in `density_2d`; `k`: latents, at least 1.

    **Returns:** nats, `(size, size)`, rows from the bottom.

    **Raises:** `ValueError` for a model of other data, k below 1, bounds that do not rise.
    """
    if model.data_shape != (2,):
        raise ValueError(
            f"`model_log_density` needs a model of points in the plane, got data of shape {model.data_shape}"
        )
    check_counts("model_log_density", k=k)
    grid = plane_grid("model_log_density", bounds, size)
    return np.asarray(_mixture(model, jnp.asarray(grid.points()), k, key)).reshape(size, size)


@eqx.filter_jit
def _mixture(model: AbstractVAE, points: Float[Array, " cells 2"], k: int, key: PRNGKeyArray) -> Float[Array, " cells"]:
    params = jax.vmap(lambda key: model.decode(model.latent_prior.sample(key=key)))(jr.split(key, k))

    def log_density(x):
        return logsumexp(jax.vmap(model.likelihood.log_prob, in_axes=(0, None))(params, x)) - math.log(k)

    return lax.map(log_density, points, batch_size=64)
