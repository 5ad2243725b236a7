import abc
from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float

from .._custom_types import Scalar


Vector = Float[Array, " latent"]


class AbstractBijection(eqx.Module):
    r"""An invertible differentiable map of vectors, with the logarithm of its Jacobian's determinant.

    The leaves are arrays only: what else describes it is static, so that it can be part of a distribution
    that leaves `jax.vmap`.
    """

    @abc.abstractmethod
    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        r"""$y = f(z)$ and $\log |\det \partial y / \partial z|$."""

    @abc.abstractmethod
    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        r"""$z = f^{-1}(y)$ and $\log |\det \partial z / \partial y|$, that of `forward` with the other sign."""


# What builds one, `(latent_size, *, key)`: a class such as `Coupling`, or a `functools.partial` with another width.
Bijection = Callable[..., AbstractBijection]
