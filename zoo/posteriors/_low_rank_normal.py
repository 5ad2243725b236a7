import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..priors import AbstractPrior
from ._posterior import LOG_SCALES, AbstractScaledPosterior, bounded
from ._relative import kl_of_normals, relative_to


class LowRankNormal(AbstractScaledPosterior):
    r"""A normal distribution whose covariance is a diagonal plus a matrix of low rank.

    $$z = \mu + \sigma \odot \epsilon + U \epsilon', \qquad \Sigma = \mathrm{diag}(\sigma^2) + U U^\top$$

    With $W = \mathrm{diag}(\sigma)^{-1} U$ and $y = (z - \mu) / \sigma$, the matrix determinant lemma and
    Woodbury's formula leave a problem of the size of the rank:

    $$\log \det \Sigma = 2 \sum_j \log \sigma_j + \log \det(I + W^\top W), \qquad
      (z - \mu)^\top \Sigma^{-1} (z - \mu) = \min_a \|y - W a\|^2 + \|a\|^2$$

    **Fields:** `mean`, and `log_scale` = $\log \sigma$: `(latent,)`; `factor` = U: `(latent, rank)`.

    `LowRankFamily` is the family. Ong, Nott & Smith, "Gaussian variational approximation with a factor
    covariance structure", 2018, equation 5.
    """

    mean: Float[Array, " latent"]
    log_scale: Float[Array, " latent"]
    factor: Float[Array, " latent rank"]

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        own_key, common_key = jr.split(key)
        own = jr.normal(own_key, self.mean.shape, self.mean.dtype)
        common = jr.normal(common_key, self.factor.shape[1:], self.mean.dtype)
        return self.mean + jnp.exp(self.log_scale) * own + self.factor @ common

    def _decomposition(
        self,
    ) -> tuple[Float[Array, " rows rank"], Float[Array, " rows rank"], Float[Array, " rank rank"]]:
        r"""W over the identity, and the Q and R of it: $R^\top R = I + W^\top W$."""
        w = self.factor * jnp.exp(-self.log_scale)[:, None]
        stacked = jnp.concatenate([w, jnp.eye(w.shape[1], dtype=w.dtype)])
        # A Cholesky factor of I + W^T W would see the square of the condition number, and lose the identity.
        q, r = jnp.linalg.qr(stacked)
        return stacked, q, r

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        y = (z - self.mean) * jnp.exp(-self.log_scale)
        stacked, q, r = self._decomposition()
        target = jnp.concatenate([y, jnp.zeros(r.shape[0], y.dtype)])
        a = solve_triangular(r, q.T @ target)
        # The residual and not y^T y - ..., which would cancel where the factor is large.
        square = jnp.sum((target - stacked @ a) ** 2)
        return -0.5 * (square + _log_det(r)) - jnp.sum(self.log_scale + 0.5 * math.log(2 * math.pi))

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        r"""$\tfrac12(\|\mu\|^2 + \mathrm{tr}\,\Sigma - n - \log\det\Sigma)$ nats, in the units of a normal prior."""
        relative = relative_to(prior, self.mean)
        if relative is None:
            return None
        mean, log_unit = relative
        factor = self.factor * jnp.exp(-log_unit)[:, None]
        excess = jnp.sum(factor**2) - _log_det(self._decomposition()[2])
        return jnp.sum(kl_of_normals(mean, self.log_scale - log_unit)) + 0.5 * excess


def _log_det(r: Float[Array, " rank rank"]) -> Scalar:
    r"""$\log \det R^\top R$."""
    return 2 * jnp.sum(jnp.log(jnp.abs(jnp.diag(r))))


class LowRankFamily(eqx.Module):
    """The family of `LowRankNormal`s of one rank, as a model's `posterior` argument: `LowRankFamily(rank=2)`."""

    rank: int = eqx.field(static=True)
    log_scales: tuple[float, float] | None = eqx.field(static=True)

    def __init__(self, rank: int, *, log_scales: tuple[float, float] | None = LOG_SCALES):
        """**Arguments:** `rank`: columns of the factor U, from 1 to the size of the latent; `log_scales`: as in
        `Family`.

        **Raises:** `ValueError` for a rank below 1, and in `num_params` for one above the latent size.
        """
        check_counts("LowRankFamily", rank=rank)
        self.rank = rank
        self.log_scales = log_scales

    def num_params(self, latent_size: int) -> int:
        """How many numbers the encoder gives.

        **Raises:** `ValueError` for a latent smaller than the rank.
        """
        check_counts("LowRankFamily.num_params", latent_size=latent_size)
        if self.rank > latent_size:
            raise ValueError(
                f"`LowRankFamily(rank={self.rank})` is for latents of at least {self.rank} dimensions, got "
                f"latent_size={latent_size}; pass rank <= {latent_size}, or use `posteriors.FullNormal`"
            )
        return (2 + self.rank) * latent_size

    def from_params(self, params: Float[Array, " params"]) -> LowRankNormal:
        """Means, then log-scales, then the factor row by row."""
        n = params.size // (2 + self.rank)
        mean, log_scale, factor = jnp.split(params, (n, 2 * n))
        return bounded(LowRankNormal(mean, log_scale, factor.reshape(n, self.rank)), self.log_scales)
