from typing import Any

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ._bijection import AbstractBijection, Bijection, Vector


class Chain(AbstractBijection):
    """Bijections one after the other; their log-determinants add.

    **Fields:** `bijections`: the first to be applied forwards comes first.
    """

    bijections: tuple[AbstractBijection, ...]

    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        total = jnp.zeros((), z.dtype)
        for bijection in self.bijections:
            z, log_det = bijection.forward(z)
            total = total + log_det
        return z, total

    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        total = jnp.zeros((), y.dtype)
        for bijection in reversed(self.bijections):
            y, log_det = bijection.inverse(y)
            total = total + log_det
        return y, total


class Inverse(AbstractBijection):
    """A bijection with its two directions exchanged.

    **Fields:** `bijection`: the one that is turned round.
    """

    bijection: AbstractBijection

    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        return self.bijection.inverse(z)

    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        return self.bijection.forward(y)


class Flip(AbstractBijection):
    """The dimensions in reverse order, so that the next layer sees them from the other end."""

    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        return z[::-1], jnp.zeros((), z.dtype)

    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        return y[::-1], jnp.zeros((), y.dtype)


def sample_through(flow: AbstractBijection, base: Any, *, key: PRNGKeyArray) -> Vector:
    """A draw of the base distribution, mapped forwards.

    **Arguments:** `flow`: from the base's vectors; `base`: a distribution of vectors, with `sample`.
    """
    return flow.forward(base.sample(key=key))[0]


def log_prob_through(flow: AbstractBijection, base: Any, y: Vector) -> Scalar:
    r"""$\log p(f^{-1}(y)) + \log |\det \partial f^{-1}(y) / \partial y|$, nats: the density of what is mapped forwards.

    **Arguments:** `flow`: $f$, from the base's vectors; `base`: a distribution of vectors, with `log_prob`; `y`: where.
    """
    z, log_det = flow.inverse(y)
    return base.log_prob(z) + log_det


def stack(bijection: Bijection, latent_size: int, layers: int, *, key: PRNGKeyArray) -> Chain:
    """`layers` bijections of one kind with the order of the dimensions reversed in between.

    Where every layer starts at the identity, so does the stack, up to the order of the dimensions: an even
    number of reversals leaves that as it was.

    **Arguments:**

    - `bijection`: what makes a layer, called as `bijection(latent_size, key=key)`.
    - `latent_size`: dimensions of z.
    - `layers`: how many, at least 1.

    **Raises:** `ValueError` for fewer than one layer.
    """
    check_counts("stack", layers=layers)
    bijections: list[AbstractBijection] = []
    for layer_key in jr.split(key, layers):
        bijections += [bijection(latent_size, key=layer_key), Flip()]
    # as many reversals as layers; one more, or one less, where that number is odd
    return Chain(tuple(bijections if layers % 2 == 0 else bijections[:-1]))
