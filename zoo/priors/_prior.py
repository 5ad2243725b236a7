import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ..spaces import Space


class AbstractPrior(eqx.Module):
    """A distribution p(z) over latents; its array leaves, if any, are trained with the model."""

    @property
    @abc.abstractmethod
    def space(self) -> Space:
        """Where z lives, and so what `log_prob` is a density of: the model's posterior must stand on the same."""

    @abc.abstractmethod
    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        """One z."""

    @abc.abstractmethod
    def log_prob(self, z: PyTree[Float[Array, " ..."]]) -> Scalar:
        r"""$\log p(z)$ in nats."""


class AbstractBorrowingPrior(eqx.Module):
    """A prior that needs something of the model it serves, such as its encoder or its label."""

    @abc.abstractmethod
    def of(self, model: Any) -> AbstractPrior:
        """p(z) of this model; gradients flow into the model and into this prior's own leaves.

        **Raises:** `ValueError` if the model does not have what is needed.
        """
