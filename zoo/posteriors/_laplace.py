import math

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..priors import AbstractPrior
from ._posterior import AbstractScaledPosterior
from ._relative import relative_to


class Laplace(AbstractScaledPosterior):
    r"""A Laplace distribution with independent dimensions, by its means and log-scales.

    $$\log q(z) = -\sum_j \left[\frac{|z_j - \mu_j|}{b_j} + \log 2 b_j\right], \qquad
      z = \mu - b \odot \mathrm{sign}(u) \log(1 - |u|), \quad u \sim U(-1, 1)$$

    The standard deviation is $\sqrt 2 b$. The noise is a function of u alone and is finite: $1 - |u|$ is at
    least half a unit in the last place of one.

    **Fields:** `mean` = $\mu$, and `log_scale` = $\log b$: `(latent,)`.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, section 2.4, "location-scale families".
    """

    mean: Float[Array, " latent"]
    log_scale: Float[Array, " latent"]

    @staticmethod
    def num_params(latent_size: int) -> int:
        check_counts("Laplace.num_params", latent_size=latent_size)
        return 2 * latent_size

    @classmethod
    def from_params(cls, params: Float[Array, " params"]) -> "Laplace":
        """Means first, then the logarithms of b."""
        mean, log_scale = jnp.split(params, 2)
        return cls(mean, log_scale)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        # jr.laplace is the inverse distribution function, with u kept off -1 and 1.
        return self.mean + jnp.exp(self.log_scale) * jr.laplace(key, self.mean.shape, self.mean.dtype)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return -jnp.sum(jnp.abs(z - self.mean) * jnp.exp(-self.log_scale) + self.log_scale + math.log(2))

    def kl_per_dimension(self, prior: AbstractPrior) -> Float[Array, " latent"] | None:
        r"""$\tfrac12 \mu_j^2 + b_j^2 - \log b_j - 1 + \tfrac12 \log \tfrac\pi2$ nats, in the units of a normal prior.

        It is minus the entropy, $1 + \log 2 b$, plus $E[z^2]/2 + \tfrac12 \log 2\pi$ with the variance $2 b^2$.
        """
        relative = relative_to(prior, self.mean)
        if relative is None:
            return None
        mean, log_unit = relative
        log_scale = self.log_scale - log_unit
        return 0.5 * mean**2 + jnp.exp(2 * log_scale) - log_scale + (0.5 * math.log(math.pi / 2) - 1)

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        per_dimension = self.kl_per_dimension(prior)
        return None if per_dimension is None else jnp.sum(per_dimension)
