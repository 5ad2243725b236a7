import abc

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar


class AbstractPrior(eqx.Module):
    """A distribution p(z) over latents; its array leaves, if any, are trained with the model."""

    @abc.abstractmethod
    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        """One z."""

    @abc.abstractmethod
    def log_prob(self, z: PyTree[Float[Array, " ..."]]) -> Scalar:
        r"""$\log p(z)$ in nats."""
