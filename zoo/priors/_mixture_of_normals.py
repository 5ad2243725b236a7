import math

import jax.numpy as jnp
import jax.random as jr
from jax.nn import log_softmax, logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..spaces import Euclidean
from ._prior import AbstractPrior


class MixtureOfNormals(AbstractPrior):
    r"""A learned mixture of normals with independent dimensions; its leaves are trained with the model.

    $$\log p(z) = \log \sum_c \pi_c \prod_j N(z_j;\ \mu_{cj},\ \sigma_{cj}^2), \qquad \pi = \mathrm{softmax}(l)$$

    It follows the aggregated posterior where N(0, I) has to be followed; `zoo.fit_prior` fits one in closed
    form after training. Dilokthanakul et al., "Deep unsupervised clustering with
    Gaussian mixture variational autoencoders", 2016; as a baseline in Tomczak & Welling, "VAE with a
    VampPrior", 2018, section 3.
    """

    logits: Float[Array, " components"]
    mean: Float[Array, " components latent"]
    log_scale: Float[Array, " components latent"]

    def __init__(self, latent_size: int, components: int = 64, *, spread: float = 1.0, key: PRNGKeyArray):
        """**Arguments:** `latent_size`, `components`: at least 1; `spread`: standard deviation of the first means.

        **Raises:** `ValueError` for sizes below 1.
        """
        if latent_size < 1 or components < 1:
            raise ValueError(
                f"`MixtureOfNormals(latent_size={latent_size}, components={components})`: both must be at least 1"
            )
        self.logits = jnp.zeros(components)
        self.mean = spread * jr.normal(key, (components, latent_size))
        self.log_scale = jnp.zeros((components, latent_size))

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return Euclidean(self.mean.shape[-1])

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        component_key, noise_key = jr.split(key)
        component = jr.categorical(component_key, self.logits)
        mean, log_scale = self.mean[component], self.log_scale[component]
        return mean + jnp.exp(log_scale) * jr.normal(noise_key, mean.shape, mean.dtype)

    def log_normals(self, z: Float[Array, " latent"]) -> Float[Array, " components"]:
        """log N(z; mu_c, sigma_c^2) of each component, nats."""
        standardised = (z[None] - self.mean) * jnp.exp(-self.log_scale)
        normal = -0.5 * standardised**2 - self.log_scale - 0.5 * math.log(2 * math.pi)
        return jnp.sum(normal, axis=1)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return logsumexp(log_softmax(self.logits) + self.log_normals(z))
