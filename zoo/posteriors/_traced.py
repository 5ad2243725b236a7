import abc
from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ._posterior import AbstractPosterior


class AbstractTracedPosterior(AbstractPosterior):
    """A distribution whose draws come with a trail: what tells their density without finding the way back from z.

    An inverse in floating point may miss where a draw came from by far. Whoever drew z knows that exactly.
    """

    @abc.abstractmethod
    def draw(self, *, key: PRNGKeyArray) -> tuple[PyTree[Float[Array, " ..."]], Any]:
        """One z as `sample` gives it, and its trail; or `None` for one where `log_prob` needs none."""

    @abc.abstractmethod
    def log_prob_along(self, z: PyTree[Float[Array, " ..."]], trail: Any) -> Scalar:
        r"""$\log q(z \mid x)$ in nats, of a draw with its trail, and differentiated along both."""

    @abc.abstractmethod
    def trace_back(self, z: PyTree[Float[Array, " ..."]], trail: Any) -> Any:
        """The same trail as a function of where z is: its derivatives are those of the way back from z."""

    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        return self.draw(key=key)[0]


def draw_from(posterior: Any, *, key: PRNGKeyArray) -> tuple[Any, Any]:
    """One z with its trail, `None` for a posterior whose density needs none.

    **Arguments:** `posterior`: a distribution over z.
    """
    if isinstance(posterior, AbstractTracedPosterior):
        return posterior.draw(key=key)
    return posterior.sample(key=key), None
