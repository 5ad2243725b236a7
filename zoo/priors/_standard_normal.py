import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..spaces import Euclidean
from ._prior import AbstractPrior


class StandardNormal(AbstractPrior):
    r"""The standard normal prior, independent in every latent dimension.

    $$\log p(z) = -\tfrac12 \sum_j (z_j^2 + \log 2\pi)$$

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 3.
    """

    latent_size: int = eqx.field(static=True)

    def __init__(self, latent_size: int):
        """**Arguments:** `latent_size`: dimensions of z, at least 1."""
        check_counts("StandardNormal", latent_size=latent_size)
        self.latent_size = latent_size

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return Euclidean(self.latent_size)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " {self.latent_size}"]:
        return jr.normal(key, (self.latent_size,))

    def log_prob(self, z: Float[Array, " {self.latent_size}"]) -> Scalar:
        return -0.5 * (jnp.sum(z**2) + self.latent_size * math.log(2 * math.pi))
