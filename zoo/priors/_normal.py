import math

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..spaces import Euclidean
from ._prior import AbstractPrior


class Normal(AbstractPrior):
    r"""A learned normal with independent dimensions; its leaves are trained with the model.

    $$\log p(z) = -\sum_j \left[\tfrac12 \left(\tfrac{z_j - \mu_j}{\sigma_j}\right)^2
      + \log \sigma_j + \tfrac12 \log 2\pi\right]$$

    A linear layer at the decoder's door could do the same; where there is none, or where the mean and the
    scale depend on a condition, this does it. The posteriors of this zoo that are normal, and
    `zoo.posteriors.Laplace`, have their divergence from it in closed form.

    Sohn, Lee & Yan, "Learning structured output representation using deep conditional generative models",
    2015, section 4, whose prior is this one with mean and scale from a network.
    """

    mean: Float[Array, " latent"]
    log_scale: Float[Array, " latent"]

    def __init__(
        self,
        latent_size: int,
        *,
        mean: Float[Array, " ..."] | None = None,
        log_scale: Float[Array, " ..."] | None = None,
    ):
        """**Arguments:** `latent_size`: dimensions of z, at least 1; `mean`, `log_scale`: `(latent_size,)`, of the
        standard deviation and not of the variance. Without them it starts at N(0, I).

        **Raises:** `ValueError` for a size below 1, and for arrays of another shape.
        """
        check_counts("Normal", latent_size=latent_size)
        for name, value in (("mean", mean), ("log_scale", log_scale)):
            if value is not None and value.shape != (latent_size,):
                raise ValueError(
                    f"`Normal(latent_size={latent_size}, {name}=...)` got shape {value.shape}; "
                    f"pass an array of shape {(latent_size,)}"
                )
        self.mean = jnp.zeros(latent_size) if mean is None else mean
        self.log_scale = jnp.zeros(latent_size) if log_scale is None else log_scale

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return Euclidean(self.mean.shape[-1])

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        return sample_normal(self.mean, self.log_scale, key=key)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return jnp.sum(normal_log_density(z, self.mean, self.log_scale))


Numbers = Float[Array, " *shape"]


def sample_normal(mean: Numbers, log_scale: Numbers, *, key: PRNGKeyArray) -> Numbers:
    r"""$\mu + \sigma \epsilon$ in each dimension.

    **Arguments:** `mean`, `log_scale`: $\mu$ and $\log \sigma$, of one shape.
    """
    return mean + jnp.exp(log_scale) * jr.normal(key, mean.shape, mean.dtype)


def normal_log_density(z: Float[Array, "..."], mean: Numbers, log_scale: Numbers) -> Numbers:
    r"""$\log N(z_j; \mu_j, \sigma_j^2)$ of each dimension, nats.

    **Arguments:** `z`: where; `mean`, `log_scale`: $\mu$ and $\log \sigma$, of one shape.
    """
    standardised = (z - mean) * jnp.exp(-log_scale)
    return -(0.5 * standardised**2 + log_scale + 0.5 * math.log(2 * math.pi))
