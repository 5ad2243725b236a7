import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._custom_types import Scalar
from ..priors import AbstractPrior, Code
from ..spaces import Codes
from ._posterior import AbstractPosterior, Traits


class Quantised(AbstractPosterior):
    r"""All mass on one grid of codes: at each place the vector of a codebook that is nearest to the encoder's.

    $$q(z) = 1 \ \text{ for } \ z_i = \arg\min_j \|e_i - c_j\|^2, \qquad \log q(z) = 0$$

    A probability, not a density: log p(x | z) + log p(z) bounds log p(x). Derivatives by the vectors drawn go
    to the encoding as if nothing had been rounded, and none to the codebook: see `zoo.penalties.commitment`.

    Van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", 2017, equations 1 and 2.
    """

    encoding: Float[Array, " *grid size"]
    codebook: Float[Array, " codes size"]
    index: Int[Array, " *grid"]

    @property
    def traits(self) -> Traits:
        """Draws with a derivative, which is not that of their distribution."""
        return Traits(pathwise=False)

    @property
    def space(self) -> Codes:
        """Grids of codes."""
        return Codes(self.index.shape, self.codebook.shape[0])

    def __init__(self, encoding: Float[Array, " *grid size"], codebook: Float[Array, " codes size"]):
        """**Arguments:** `encoding`: a vector at each place of a grid; `codebook`: the vectors to choose from."""
        self.encoding = encoding
        self.codebook = codebook
        # |e - c|^2 without |e|^2, which all codes share.
        product = encoding.reshape(-1, encoding.shape[-1]) @ codebook.T
        distance = jnp.sum(codebook**2, axis=1)[None] - 2 * product
        self.index = jnp.argmin(distance, axis=1).reshape(encoding.shape[:-1]).astype(jnp.int32)

    @property
    def mean(self) -> Float[Array, " *grid size"]:
        """The vectors of the codes."""
        return self.codebook[self.index]

    def sample(self, *, key: PRNGKeyArray) -> Code:
        # In this order the value is exactly the codebook's.
        vector = lax.stop_gradient(self.mean) + (self.encoding - lax.stop_gradient(self.encoding))
        return Code(self.index, vector)

    def log_prob(self, z: Code) -> Scalar:
        return jnp.where(jnp.all(z.index == self.index), 0.0, -jnp.inf).astype(self.encoding.dtype)

    def kl(self, prior: AbstractPrior) -> Scalar:
        r"""$-\log p(z)$ at the codes, nats."""
        return -prior.log_prob(Code(self.index))
