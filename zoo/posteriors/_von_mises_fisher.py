import math

import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..priors import AbstractPrior, UniformSphere, log_area
from ..spaces import Sphere
from ..special import log_bessel
from ._polar_angle import polar_angle
from ._posterior import AbstractPosterior, Traits


# |log kappa| stays below this: kappa lies between 1e-4 and 1e4.
_LARGEST = math.log(1e4)


class VonMisesFisher(AbstractPosterior):
    r"""The von Mises-Fisher distribution on the unit sphere $S^{n-1}$, by its mean direction and concentration.

    $$\log q(z) = \kappa \, \mu^\top z - \kappa - g_{n/2-1}(\kappa) - \log |S^{n-1}|, \qquad \|z\| = \|\mu\| = 1$$

    with respect to the surface measure, g being `zoo.special.log_bessel`. A draw is
    $z = \mu \cos\theta + v \sin\theta$ with v uniform among the directions orthogonal to $\mu$, and $\theta$
    from uniform noise by the inverse of its distribution function: reparameterised, with no rejection, so that
    every estimator of the zoo holds. `mean` is $E[z]$, inside the sphere. The prior that goes with it is
    `zoo.priors.UniformSphere`.

    Davidson et al., "Hyperspherical variational auto-encoders", 2018, sections 3.2 and 3.3, who sample by
    rejection and correct the gradient; the inverse distribution function is ours.
    """

    direction: Float[Array, " latent"]
    concentration: Scalar

    @property
    def traits(self) -> Traits:
        """Pathwise draws of a density."""
        return Traits()

    @property
    def space(self) -> Sphere:
        """$S^{n-1}$."""
        return Sphere(self.direction.shape[-1])

    def __init__(self, direction: Float[Array, " latent"], concentration: Scalar):
        r"""**Arguments:** `direction`: $\mu$, of length 1; `concentration`: $\kappa$, from 1e-4 to 1e4."""
        self.direction = direction
        self.concentration = concentration

    @staticmethod
    def num_params(latent_size: int) -> int:
        check_counts("VonMisesFisher.num_params", at_least=2, latent_size=latent_size)
        return latent_size + 1

    @classmethod
    def from_params(cls, params: Float[Array, " params"]) -> "VonMisesFisher":
        r"""A vector along the mean direction, of any length, then a number r that gives the concentration.

        $\log \kappa = c \tanh(r / c)$ with $c = \log 10^4$: about r, and softly held so that $\kappa$ lies
        between $10^{-4}$ and $10^4$.
        """
        vector, r = params[:-1], params[-1]
        return cls(_unit(vector), jnp.exp(_LARGEST * jnp.tanh(r / _LARGEST)))

    @property
    def mean(self) -> Float[Array, " latent"]:
        r"""$\mu \, I_{n/2}(\kappa) / I_{n/2-1}(\kappa)$."""
        return (1 + self._slope()) * self.direction

    def _log_bessel(self, concentration: Scalar) -> Scalar:
        return log_bessel(self.direction.size / 2 - 1, concentration)

    def _slope(self) -> Scalar:
        r"""$E[\mu^\top z] - 1$, which is the derivative of g."""
        return jax.grad(self._log_bessel)(self.concentration)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        angle_key, around_key = jr.split(key)
        dtype = self.direction.dtype
        angle = polar_angle(self.direction.size, jr.uniform(angle_key, (), dtype), self.concentration)
        # For every mean direction the part of normal noise that is orthogonal to it is uniform around it.
        noise = jr.normal(around_key, self.direction.shape, dtype)
        # Twice, as once leaves rounding errors where the noise is nearly parallel to the mean direction.
        around = self._orthogonal(self._orthogonal(noise))
        return jnp.cos(angle) * self.direction + jnp.sin(angle) * around

    def _orthogonal(self, vector: Float[Array, " latent"]) -> Float[Array, " latent"]:
        """The part of a vector that is orthogonal to the mean direction, made a unit vector."""
        return _unit(vector - (vector @ self.direction) * self.direction)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        # On the sphere mu^T z - 1 = -|z - mu|^2 / 2, which keeps its digits next to the mean direction.
        fall = 0.5 * jnp.sum((z - self.direction) ** 2)
        return -self.concentration * fall - self._log_bessel(self.concentration) - log_area(z.size)

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        r"""$\kappa \, (E[\mu^\top z] - 1) - g(\kappa)$ nats against the uniform distribution.

        Davidson et al., 2018, equation 4.
        """
        if not isinstance(prior, UniformSphere):
            return None
        return self.concentration * self._slope() - self._log_bessel(self.concentration)


def _unit(vector: Float[Array, " latent"]) -> Float[Array, " latent"]:
    """The vector divided by its length, with finite gradients; the first unit vector in place of 0."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(vector)))
    first = jnp.zeros_like(vector).at[0].set(1)
    # Scaled first, since squares over- and underflow.
    safe = jnp.where(largest > 0, vector, first) / jnp.where(largest > 0, largest, 1)
    return safe * lax.rsqrt(jnp.sum(safe**2))
