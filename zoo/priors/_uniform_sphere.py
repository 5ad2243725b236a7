import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..spaces import Sphere
from ._prior import AbstractPrior


class UniformSphere(AbstractPrior):
    r"""The uniform distribution on the unit sphere $S^{n-1}$ in n dimensions.

    $$\log p(z) = -\log |S^{n-1}| = \log \Gamma(n/2) - \log 2 - \tfrac n2 \log \pi, \qquad \|z\| = 1$$

    A density with respect to the surface measure (arc length for n = 2), as that of
    `zoo.posteriors.VonMisesFisher`, its partner. z off the sphere is not looked for.

    Davidson et al., "Hyperspherical variational auto-encoders", 2018, section 3.
    """

    latent_size: int = eqx.field(static=True)

    def __init__(self, latent_size: int):
        """**Arguments:** `latent_size`: n, the dimension of the space around the sphere, at least 2.

        **Raises:** `ValueError` for a size below 2.
        """
        check_counts("UniformSphere", at_least=2, latent_size=latent_size)
        self.latent_size = latent_size

    @property
    def space(self) -> Sphere:
        """$S^{n-1}$."""
        return Sphere(self.latent_size)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " {self.latent_size}"]:
        noise = jr.normal(key, (self.latent_size,))
        return noise / jnp.linalg.norm(noise)

    def log_prob(self, z: Float[Array, " {self.latent_size}"]) -> Scalar:
        return jnp.full((), -log_area(self.latent_size), z.dtype)


def log_area(n: int) -> float:
    r"""$\log |S^{n-1}|$, the logarithm of the surface of the unit ball in n dimensions.

    **Arguments:** `n`: the dimensions, 1 or more.
    """
    return math.log(2) + n / 2 * math.log(math.pi) - math.lgamma(n / 2)
