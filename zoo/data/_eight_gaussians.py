import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ._toy import AbstractToy, log_normal


class EightGaussians(AbstractToy):
    r"""Eight equal, round normals on a circle of radius 5, of standard deviation 0.2 each.

    $$p(x) = \tfrac18 \sum_{j=0}^{7} N(x;\ 5(\cos \tfrac{j\pi}{4}, \sin \tfrac{j\pi}{4}),\ 0.2^2 I)$$

    Its entropy is 1.69844 nats. The log-density is exact.
    """

    radius: float = 5.0
    scale: float = 0.2

    def draw(self, *, key: PRNGKeyArray) -> Float[Array, " 2"]:
        component_key, noise_key = jr.split(key)
        angle = jr.randint(component_key, (), 0, 8).astype(jnp.float32) * (math.pi / 4)
        centre = self.radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return centre + self.scale * jr.normal(noise_key, (2,), jnp.float32)

    def log_density(self, x: Float[Array, " 2"]) -> Scalar:
        angles = np.arange(8) * (math.pi / 4)
        centres = self.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        distances = x[None, :] - jnp.asarray(centres, x.dtype)
        return logsumexp(jnp.sum(log_normal(distances, self.scale), axis=1)) - math.log(8)


eight_gaussians = EightGaussians()
