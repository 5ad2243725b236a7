import abc
from typing import Any, NamedTuple, Protocol

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .. import special
from .._custom_types import Scalar
from ..spaces import Euclidean, Space


class Traits(NamedTuple):
    r"""What may be done with the draws of a posterior.

    **Fields:**

    - `reparameterised`: whether a draw is a differentiable function of the distribution's parameters and a key.
    - `pathwise`: whether its derivative is that of the distribution, $E[\partial_z g \, \partial_\phi z] =
      \partial_\phi E[g(z)]$, as `zoo.estimators.stl` and `zoo.estimators.dreg` need; never of discrete latents.
    - `has_density`: whether there is a $\log q(z \mid x)$, and so a bound.
    """

    reparameterised: bool = True
    pathwise: bool = True
    has_density: bool = True


class AbstractPosterior(eqx.Module):
    r"""A distribution q(z | x) at one x: its leaves are its parameters there. `mean` is E[z]."""

    mean: eqx.AbstractVar[PyTree[Float[Array, " ..."]]]

    @property
    @abc.abstractmethod
    def space(self) -> Space:
        """Where z lives, and so what `log_prob` is a density of: the model's prior must stand on the same."""

    @property
    @abc.abstractmethod
    def traits(self) -> Traits:
        """What may be done with its draws: estimators and penalties ask for it."""

    @abc.abstractmethod
    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        """One z, differentiable in the distribution's parameters where it is `reparameterised`."""

    @abc.abstractmethod
    def log_prob(self, z: PyTree[Float[Array, " ..."]]) -> Scalar:
        r"""$\log q(z \mid x)$ in nats."""

    @abc.abstractmethod
    def kl(self, prior: Any) -> Scalar | None:
        r"""$KL(q \,\|\, p)$ in nats where it has a closed form for this `prior`, else `None`."""


class AbstractVectorPosterior(AbstractPosterior):
    """A density of vectors, with pathwise draws."""

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return Euclidean(self.mean.shape[-1])

    @property
    def traits(self) -> Traits:
        """Pathwise draws of a density."""
        return Traits()


class AbstractScaledPosterior(AbstractVectorPosterior):
    """A density of vectors with a scale for each dimension, given by its logarithm."""

    log_scale: eqx.AbstractVar[Float[Array, " latent"]]


# Where the log-scales of a family's posteriors stay: a prior has units of about 1, and a posterior that is wider than
# its prior by far throws z to where the decoder has never been.
LOG_SCALES = (-8.0, 1.0)


def bounded(posterior: Any, log_scales: tuple[float, float] | None) -> Any:
    """The posterior with its log-scales bent by two softplus to stay between these; for `None` as it is.

    **Arguments:** `posterior`: a distribution; one without scales stays as it is; `log_scales`: the two ends.
    """
    if log_scales is None or not isinstance(posterior, AbstractScaledPosterior):
        return posterior
    return eqx.tree_at(lambda q: q.log_scale, posterior, special.between(posterior.log_scale, *log_scales))


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

    **Fields:** `kind`: the class, such as `DiagonalNormal`; `log_scales`: the bounds between which the encoder's
    log-scales are bent, exp(-8) = 0.0003 and exp(1) = 2.7 in the units of z unless given, or `None` to leave them.
    """

    kind: Any = eqx.field(static=True)
    log_scales: tuple[float, float] | None = eqx.field(static=True, default=LOG_SCALES)

    def num_params(self, latent_size: int) -> int:
        """How many numbers the encoder gives."""
        return self.kind.num_params(latent_size)

    def from_params(self, params: Float[Array, " params"]) -> AbstractPosterior:
        """The distribution that the encoder's numbers describe."""
        return bounded(self.kind.from_params(params), self.log_scales)


def as_family(family: Any) -> Any:
    """The family as a model holds it: a class in a `Family`, an instance as it is.

    **Arguments:** `family`: a class such as `DiagonalNormal`, or an instance such as `FlowPosterior(2, key=key)`.
    """
    return Family(family) if isinstance(family, type) else family
