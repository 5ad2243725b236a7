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


def check_latent_size(call: str, latent_size: int, least: int = 1) -> None:
    if latent_size < least:
        raise ValueError(f"`{call}(latent_size={latent_size})`: pass latent_size >= {least}")


def check_width_size(call: str, width_size: int) -> None:
    if width_size < 1:
        raise ValueError(f"`{call}(width_size={width_size})`: pass at least 1 hidden unit")
