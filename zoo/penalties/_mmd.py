from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import latents


Kernel = Callable[[Float[Array, " latent"], Float[Array, " latent"]], Scalar]


def rbf(x: Float[Array, " latent"], y: Float[Array, " latent"], *, scale: Real | None = None) -> Scalar:
    r"""The radial basis function kernel $\exp(-|x - y|^2 / c)$.

    **Arguments:**

    - `x`, `y`: two latents.
    - `scale`: c; by default twice the number of dimensions, which is the mean of $|x - y|^2$ for two
        draws of a standard normal.
    """
    return jnp.exp(-jnp.sum((x - y) ** 2) / _scale(x, scale))


def imq(x: Float[Array, " latent"], y: Float[Array, " latent"], *, scale: Real | None = None) -> Scalar:
    r"""The inverse multiquadratic kernel $c / (c + |x - y|^2)$, whose tails still pull on far latents.

    **Arguments:** as `rbf`; `scale` has the same default, which is the paper's.

    Tolstikhin et al., 2018, [Wasserstein auto-encoders](https://arxiv.org/abs/1711.01558), section 4.
    """
    scale = _scale(x, scale)
    return scale / (scale + jnp.sum((x - y) ** 2))


def mmd(draws: Draws, *, kernel: Kernel = imq, prior: Any = None, weight: Real = 1.0, key: PRNGKeyArray) -> Scalar:
    r"""The squared maximum mean discrepancy of the aggregated posterior and the prior.

    $\lambda \left( \frac{1}{n (n - 1)} \sum_{i \ne j} \left[ \kappa(z_i, z_j) + \kappa(z'_i, z'_j) \right]
    - \frac{2}{n^2} \sum_{i, j} \kappa(z_i, z'_j) \right)$

    for the n latents $z_i$ of a batch, one draw of each example, and n draws $z'_i$ of the prior. With k
    draws of each example it is the mean over the k batches that they make up.

    **Arguments:**

    - `draws`: the draws of a batch.
    - `kernel`: `rbf`, `imq`, or any positive definite function of two latents.
    - `prior`: a distribution with `sample(*, key)`; by default the standard normal.
    - `weight`: $\lambda$.
    - `key`: for the prior's draws.

    **Returns:**

    The penalty: an unbiased estimate, and so negative at times.

    **Raises:**

    `ValueError` for a batch of one or a negative weight.

    Zhao, Song and Ermon, 2019, [InfoVAE](https://arxiv.org/abs/1706.02262), section 3.2, and Tolstikhin
    et al., 2018, [Wasserstein auto-encoders](https://arxiv.org/abs/1711.01558), algorithm 2.
    """
    check_weight("mmd", "weight", weight)
    zs = latents("mmd", draws)
    batches = jnp.moveaxis(zs, 1, 0)
    references = prior_samples(prior, draws, key=key)
    return weight * jnp.mean(jax.vmap(lambda z, reference: _mmd(kernel, z, reference))(batches, references))


def prior_samples(prior: Any, draws: Draws, *, key: PRNGKeyArray) -> Float[Array, " k batch latent"]:
    """As many latents from the prior as there are draws."""
    batch, k, *shape = draws.z.shape
    if prior is None:
        samples = jr.normal(key, (k * batch, *shape), draws.z.dtype)
    else:
        samples = jax.vmap(lambda key: prior.sample(key=key))(jr.split(key, k * batch))
    if samples.shape[1:] != tuple(shape):
        raise ValueError(
            f"`prior` samples latents of shape {samples.shape[1:]}, the draws are of shape {tuple(shape)}; "
            "pass the model's own prior"
        )
    return samples.reshape(k, batch, -1)


def _mmd(kernel: Kernel, zs: Float[Array, " n latent"], references: Float[Array, " n latent"]) -> Scalar:
    def between(xs, ys):
        return jax.vmap(lambda x: jax.vmap(lambda y: kernel(x, y))(ys))(xs)

    n = zs.shape[0]
    others = ~jnp.eye(n, dtype=bool)
    within = jnp.where(others, between(zs, zs) + between(references, references), 0)
    return jnp.sum(within) / (n * (n - 1)) - 2 * jnp.mean(between(zs, references))


def _scale(x: Float[Array, " latent"], scale: Real | None) -> Real:
    return 2.0 * x.shape[0] if scale is None else scale
