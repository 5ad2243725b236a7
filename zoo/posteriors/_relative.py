import jax.numpy as jnp
from jaxtyping import Array, Float

from ..priors import AbstractPrior, Normal, StandardNormal


Vector = Float[Array, " latent"]


def relative_to(prior: AbstractPrior, mean: Vector) -> tuple[Vector, Vector] | None:
    """`mean` in the prior's standard deviations from the prior's mean, and the logarithms of these deviations.

    Divided by them, any distribution stands to N(0, I) as it stood to the prior, and divergences stay as they
    are. `None` where the prior is not normal with independent dimensions.
    """
    if isinstance(prior, StandardNormal):
        return mean, jnp.zeros_like(mean)
    if isinstance(prior, Normal):
        return (mean - prior.mean) * jnp.exp(-prior.log_scale), prior.log_scale
    return None


def kl_of_normals(mean: Vector, log_scale: Vector) -> Vector:
    r"""$\tfrac12(\mu^2 + \sigma^2 - 1) - \log \sigma$, nats: the divergence of $N(\mu, \sigma^2)$ from N(0, 1)."""
    # expm1(2s) - 2s keeps its digits where the posterior is close to the prior.
    return 0.5 * (mean**2 + jnp.expm1(2 * log_scale) - 2 * log_scale)
