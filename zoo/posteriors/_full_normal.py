import math

import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..priors import AbstractPrior
from ._posterior import AbstractScaledPosterior
from ._relative import kl_of_normals, relative_to


class FullNormal(AbstractScaledPosterior):
    r"""A normal distribution with a full covariance $L L^\top$, by its mean and its Cholesky factor L.

    $$z = \mu + L \epsilon, \qquad \log q(z) = -\tfrac12 \|L^{-1}(z - \mu)\|^2
      - \sum_j \log L_{jj} - \tfrac n2 \log 2\pi$$

    `mean` is $\mu$. The diagonal of L is given by its logarithms, `log_scale`; of `lower`, `(latent, latent)`, the
    part below the diagonal is used. Where the likelihood is linear and normal this family holds the exact posterior.

    Kingma & Welling, "An introduction to variational autoencoders", 2019, section 2.5.1.
    """

    mean: Float[Array, " latent"]
    log_scale: Float[Array, " latent"]
    lower: Float[Array, " latent latent"]

    @staticmethod
    def num_params(latent_size: int) -> int:
        check_counts("FullNormal.num_params", latent_size=latent_size)
        return 2 * latent_size + latent_size * (latent_size - 1) // 2

    @classmethod
    def from_params(cls, params: Float[Array, " params"]) -> "FullNormal":
        """Means, then log-scales, then what is below the diagonal, row by row.

        **Raises:** `ValueError` if no size of the latent has that many parameters.
        """
        # n (n + 3) / 2 parameters
        n = (math.isqrt(9 + 8 * params.size) - 3) // 2
        if n < 1 or cls.num_params(n) != params.size:
            raise ValueError(
                f"`FullNormal.from_params` got {params.size} numbers, which is `num_params` of no latent_size; "
                "pass as many as `FullNormal.num_params(latent_size)` says"
            )
        mean, log_scale, below = jnp.split(params, (n, 2 * n))
        lower = jnp.zeros((n, n), params.dtype).at[jnp.tril_indices(n, -1)].set(below)
        return cls(mean, log_scale, lower)

    def cholesky(self) -> Float[Array, " latent latent"]:
        """L, lower triangular with a positive diagonal."""
        return jnp.tril(self.lower, -1) + jnp.diag(jnp.exp(self.log_scale))

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        return self.mean + self.cholesky() @ jr.normal(key, self.mean.shape, self.mean.dtype)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        standardised = solve_triangular(self.cholesky(), z - self.mean, lower=True)
        return -jnp.sum(0.5 * standardised**2 + self.log_scale + 0.5 * math.log(2 * math.pi))

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        r"""$\tfrac12(\|\mu\|^2 + \|L\|_F^2 - n) - \sum_j \log L_{jj}$ nats, in the units of a normal prior."""
        relative = relative_to(prior, self.mean)
        if relative is None:
            return None
        mean, log_unit = relative
        lower = jnp.tril(self.lower, -1) * jnp.exp(-log_unit)[:, None]
        return jnp.sum(kl_of_normals(mean, self.log_scale - log_unit)) + 0.5 * jnp.sum(lower**2)
