from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..flows import AbstractBijection, Inverse, MaskedAutoregressive, log_prob_through, sample_through, stack
from ..spaces import Euclidean
from ._prior import AbstractPrior
from ._standard_normal import StandardNormal


class FlowPrior(AbstractPrior):
    r"""A standard normal bent by masked autoregressive flows; its leaves are trained with the model, or after it.

    $$\log p(z) = \log N(f^{-1}(z);\ 0, I) + \log \left|\det \frac{\partial f^{-1}(z)}{\partial z}\right|$$

    The flow runs in the direction in which a density is one pass; a sample takes `latent_size` passes. It
    starts at N(0, I).

    Papamakarios, Pavlakou & Murray, "Masked autoregressive flow for density estimation", 2017; as a prior
    in Chen et al., "Variational lossy autoencoder", 2017, section 3.2.
    """

    base: StandardNormal
    flow: AbstractBijection

    def __init__(self, latent_size: int, layers: int = 4, width_size: int = 32, *, key: PRNGKeyArray):
        """**Arguments:** `latent_size`: dimensions of z; `layers`: flows one after the other, with the order of
        the dimensions reversed in between; `width_size`: hidden units in each of a flow's two layers.

        **Raises:** `ValueError` for any of them below 1.
        """
        self.base = StandardNormal(latent_size)
        layer = lambda size, *, key: Inverse(MaskedAutoregressive(size, width_size=width_size, key=key))
        self.flow = stack(layer, latent_size, layers, key=key)

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return self.base.space

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        return sample_through(self.flow, self.base, key=key)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return log_prob_through(self.flow, self.base, z)
