import abc
from typing import Any, Protocol

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar


class AbstractPosterior(eqx.Module):
    r"""A distribution q(z | x) at one x: its leaves are its parameters there. `mean` is E[z]."""

    mean: eqx.AbstractVar[PyTree[Float[Array, " ..."]]]

    @abc.abstractmethod
    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        """One z, differentiable in the distribution's parameters (reparameterised)."""

    @abc.abstractmethod
    def log_prob(self, z: PyTree[Float[Array, " ..."]]) -> Scalar:
        r"""$\log q(z \mid x)$ in nats."""

    @abc.abstractmethod
    def kl(self, prior: Any) -> Scalar | None:
        r"""$KL(q \,\|\, p)$ in nats where it has a closed form for this `prior`, else `None`."""


class PosteriorFamily(Protocol):
    """What an encoder feeds: a class such as `DiagonalNormal`, or an instance with parameters of its own, as a flow."""

    def num_params(self, latent_size: int, /) -> int:
        """How many unconstrained numbers describe one distribution over `latent_size` dimensions."""
        ...

    def from_params(self, params: Float[Array, " params"], /) -> AbstractPosterior:
        """The distribution that an encoder's output describes."""
        ...
