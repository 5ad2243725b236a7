import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ._toy import AbstractToy, log_normal, rotate


class Pinwheel(AbstractToy):
    r"""Five blades: radial normals, turned about the centre the further the farther out they lie.

    $$v \sim N((1, 0), \mathrm{diag}(0.3^2, 0.1^2)), \qquad
      x = 2\, R\!\left(\tfrac{2\pi j}{5} + \tfrac14 e^{|v|}\right) v, \qquad j \sim \mathrm{Uniform}\{0..4\}$$

    with R(.) a rotation. After Johnson et al., "Composing graphical models with neural networks", 2016. One
    departure: they turn by the first coordinate of v, we by its length |v|, which is nearly the same number;
    a rotation by a function of the radius keeps areas, so that the log-density is exact and in closed form.
    """

    radial_scale: float = 0.3
    tangential_scale: float = 0.1
    twist: float = 0.25

    def draw(self, *, key: PRNGKeyArray) -> Float[Array, " 2"]:
        blade_key, noise_key = jr.split(key)
        noise = jr.normal(noise_key, (2,), jnp.float32)
        v = jnp.stack([1 + self.radial_scale * noise[0], self.tangential_scale * noise[1]])
        angle = jr.randint(blade_key, (), 0, 5).astype(jnp.float32) * (2 * math.pi / 5)
        return 2 * rotate(v, angle + self.twist * jnp.exp(_length(v)))

    def log_density(self, x: Float[Array, " 2"]) -> Scalar:
        y = x / 2
        # Untwisted once, then turned back blade by blade. Far out the density is nil whatever the angle:
        # the bound keeps the exponential finite.
        untwisted = rotate(y, -self.twist * jnp.exp(jnp.minimum(_length(y), 20)))
        angles = jnp.asarray(np.arange(5) * (2 * math.pi / 5), x.dtype)
        v = jax.vmap(rotate, in_axes=(None, 0))(untwisted, -angles)
        radial = log_normal(v[:, 0] - 1, self.radial_scale)
        tangential = log_normal(v[:, 1], self.tangential_scale)
        return logsumexp(radial + tangential) - math.log(5 * 4)


def _length(v: Float[Array, " 2"]) -> Scalar:
    # The gradient of a square root at zero is infinite: a smallest number keeps it finite.
    return jnp.sqrt(jnp.sum(jnp.square(v)) + float(np.finfo(np.float32).tiny))


pinwheel = Pinwheel()
