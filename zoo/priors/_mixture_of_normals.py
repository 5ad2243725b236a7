import jax.numpy as jnp
import jax.random as jr
from jax.nn import log_softmax, logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..spaces import Euclidean
from ._normal import normal_log_density, sample_normal
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
        check_counts("MixtureOfNormals", latent_size=latent_size, components=components)
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
        return sample_normal(mean, log_scale, key=noise_key)

    def log_normals(self, z: Float[Array, " latent"]) -> Float[Array, " components"]:
        """log N(z; mu_c, sigma_c^2) of each component, nats."""
        return jnp.sum(normal_log_density(z[None], self.mean, self.log_scale), axis=1)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return logsumexp(log_softmax(self.logits) + self.log_normals(z))
