import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..priors import AbstractPrior, normal_log_density, sample_normal
from ._posterior import AbstractScaledPosterior
from ._relative import kl_of_normals, relative_to


class DiagonalNormal(AbstractScaledPosterior):
    r"""A normal distribution with independent dimensions, by its means and log-scales.

    $$\log q(z) = -\sum_j \left[\tfrac12 \left(\tfrac{z_j - \mu_j}{\sigma_j}\right)^2
      + \log \sigma_j + \tfrac12 \log 2\pi\right], \qquad z = \mu + \sigma \odot \epsilon$$

    **Fields:** `mean`, and `log_scale` = $\log \sigma$: `(latent,)`.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, equation 9 and appendix B.
    """

    mean: Float[Array, " latent"]
    log_scale: Float[Array, " latent"]

    @staticmethod
    def num_params(latent_size: int) -> int:
        return 2 * latent_size

    @classmethod
    def from_params(cls, params: Float[Array, " params"]) -> "DiagonalNormal":
        """Means first, then log-scales (of the standard deviation, not of the variance)."""
        mean, log_scale = jnp.split(params, 2)
        return cls(mean, log_scale)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        return sample_normal(self.mean, self.log_scale, key=key)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return jnp.sum(normal_log_density(z, self.mean, self.log_scale))

    def kl_per_dimension(self, prior: AbstractPrior) -> Float[Array, " latent"] | None:
        r"""$\tfrac12(\mu_j^2 + \sigma_j^2 - 1) - \log \sigma_j$, nats, against a standard normal.

        Against a `zoo.priors.Normal` the same, $\mu_j$ and $\sigma_j$ being taken in its units.
        """
        relative = relative_to(prior, self.mean)
        if relative is None:
            return None
        mean, log_unit = relative
        return kl_of_normals(mean, self.log_scale - log_unit)

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        per_dimension = self.kl_per_dimension(prior)
        return None if per_dimension is None else jnp.sum(per_dimension)
