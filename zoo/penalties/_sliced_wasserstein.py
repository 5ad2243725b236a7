from typing import Any

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from .._checks import Real, check_counts, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import latents
from ._mmd import prior_samples


def sliced_wasserstein(
    draws: Draws, *, directions: int = 50, prior: Any = None, weight: Real = 1.0, key: PRNGKeyArray
) -> Scalar:
    r"""The squared 2-Wasserstein distance of aggregated posterior and prior, along random lines.

    $\frac{\lambda}{L} \sum_{l=1}^{L} \frac{1}{n} \sum_i
    \left( (\theta_l^T z)_{(i)} - (\theta_l^T z')_{(i)} \right)^2$

    for the n latents of a batch, one draw of each example, n draws $z'$ of the prior, and directions
    $\theta_l$ uniform on the sphere; $(\cdot)_{(i)}$ is the i-th smallest. With k draws of each example it is
    the mean over the k batches that they make up.

    **Arguments:**

    - `draws`: the draws of a batch.
    - `directions`: L, at least 1.
    - `prior`: a distribution with `sample(*, key)`; by default the standard normal.
    - `weight`: $\lambda$.
    - `key`: for the directions and the prior's draws.

    **Returns:**

    The penalty, in squared units of z.

    **Raises:**

    `ValueError` for a batch of one, no direction or a negative weight.

    Kolouri et al., 2019, [Sliced Wasserstein auto-encoders](https://arxiv.org/abs/1804.01947),
    algorithm 1.
    """
    check_weight("sliced_wasserstein", "weight", weight)
    check_counts("sliced_wasserstein", directions=directions)
    zs = jnp.moveaxis(latents("sliced_wasserstein", draws), 1, 0)
    direction_key, prior_key = jr.split(key)
    lines = jr.normal(direction_key, (zs.shape[-1], directions), zs.dtype)
    lines = lines / jnp.linalg.norm(lines, axis=0, keepdims=True)
    ordered = jnp.sort(zs @ lines, axis=1)
    reference = jnp.sort(prior_samples(prior, draws, key=prior_key) @ lines, axis=1)
    return weight * jnp.mean((ordered - reference) ** 2)
