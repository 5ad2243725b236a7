import abc
from typing import Any, Protocol

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ..spaces import Space


class AbstractPosterior(eqx.Module):
    r"""A distribution q(z | x) at one x: its leaves are its parameters there.

    What it says of itself decides what it goes with. A class gives these as `ClassVar`s, properties or fields:

    - `mean`: E[z].
    - `space`: where z lives, and so what `log_prob` is a density of: `zoo.spaces.Euclidean(size)` and its like. The
      model's prior must stand on the same.
    - `reparameterised`: whether a draw is a differentiable function of the parameters and a key.
    - `pathwise`: whether its derivative is that of the distribution, $E[\partial_z g \, \partial_\phi z] =
      \partial_\phi E[g(z)]$, as `zoo.estimators.stl` and `dreg` need; no draw of discrete latents has one.
    - `has_density`: whether there is a log q(z | x), so that there is a bound.
    """

    mean: eqx.AbstractVar[PyTree[Float[Array, " ..."]]]
    space: eqx.AbstractVar[Space]
    reparameterised: eqx.AbstractVar[bool]
    pathwise: eqx.AbstractVar[bool]
    has_density: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        """One z, differentiable in the distribution's parameters where it is `reparameterised`."""

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


class Family(eqx.Module):
    """The family of a class's distributions, as part of a model, whose leaves are its parameters alone.

    **Fields:** `kind`: the class, such as `DiagonalNormal`.
    """

    kind: Any = eqx.field(static=True)

    def num_params(self, latent_size: int) -> int:
        """How many numbers the encoder gives."""
        return self.kind.num_params(latent_size)

    def from_params(self, params: Float[Array, " params"]) -> AbstractPosterior:
        """The distribution that the encoder's numbers describe."""
        return self.kind.from_params(params)


def as_family(family: Any) -> Any:
    """The family as a model holds it: a class in a `Family`, an instance as it is.

    **Arguments:** `family`: a class such as `DiagonalNormal`, or an instance such as `FlowPosterior(2, key=key)`.
    """
    return Family(family) if isinstance(family, type) else family
