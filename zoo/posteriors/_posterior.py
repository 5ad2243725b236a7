import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar


class AbstractPosterior(eqx.Module):
    r"""A distribution q(z | x) at one x: its leaves are its parameters there.

    The class is also the family that an encoder feeds: `num_params` says how many numbers the encoder
    puts out, `from_params` turns them into the distribution. A family with parameters of its own (a flow)
    is an instance with the same two methods. `mean` is E[z].
    """

    mean: eqx.AbstractVar[PyTree[Float[Array, " ..."]]]

    @staticmethod
    @abc.abstractmethod
    def num_params(latent_size: int) -> int:
        """How many unconstrained numbers describe one distribution over `latent_size` dimensions."""

    @classmethod
    @abc.abstractmethod
    def from_params(cls, params: Float[Array, " params"]) -> "AbstractPosterior":
        """The distribution that an encoder's output describes."""

    @abc.abstractmethod
    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        """One z, differentiable in the distribution's parameters (reparameterised)."""

    @abc.abstractmethod
    def log_prob(self, z: PyTree[Float[Array, " ..."]]) -> Scalar:
        r"""$\log q(z \mid x)$ in nats."""

    @abc.abstractmethod
    def kl(self, prior) -> Scalar | None:
        r"""$KL(q \,\|\, p)$ in nats where it has a closed form for this `prior`, else `None`."""
