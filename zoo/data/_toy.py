import abc
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from .._custom_types import Scalar


class AbstractToy(eqx.Module):
    """A density on the plane that is known: points from it, and its logarithm anywhere.

    A toy is called like a function, `eight_gaussians(n, key=key)`, and knows its density,
    `eight_gaussians.log_density(x)`.
    """

    def __call__(self, n: int | np.integer, *, key: PRNGKeyArray) -> Float[Array, " n 2"]:
        """Draw n independent points, float32 of shape (n, 2).

        **Raises:** `ValueError` where n < 1, `TypeError` where it is no integer.
        """
        n = operator.index(n)
        if n < 1:
            raise ValueError(f"`{type(self).__name__}(n={n})` needs n >= 1; ask for one point or more")
        return _draw_many(self, jr.split(key, n))

    @abc.abstractmethod
    def draw(self, *, key: PRNGKeyArray) -> Float[Array, " 2"]:
        """Draw one point, float32."""

    @abc.abstractmethod
    def log_density(self, x: Float[Array, " 2"]) -> Scalar:
        """log p(x) of one point, nats."""


@eqx.filter_jit
def _draw_many(toy: AbstractToy, keys: Shaped[Array, " n *key"]) -> Float[Array, " n 2"]:
    return jax.vmap(lambda key: toy.draw(key=key))(keys)


def log_normal(x: Float[Array, " *shape"], scale: float) -> Float[Array, " *shape"]:
    """log N(x; 0, scale^2), elementwise."""
    return -0.5 * jnp.square(x / scale) - float(np.log(scale * np.sqrt(2 * np.pi)))


def rotate(x: Float[Array, " 2"], angle: Scalar) -> Float[Array, " 2"]:
    """Turn x anticlockwise about the origin by an angle in radians."""
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([cosine * x[0] - sine * x[1], sine * x[0] + cosine * x[1]])


def gauss_legendre(low: float, high: float, *, panels: int, order: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the composite Gauss-Legendre rule on [low, high], in float64."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(low, high, panels + 1)
    half = np.diff(edges)[:, None] / 2
    middle = (edges[:-1] + edges[1:])[:, None] / 2
    return (middle + half * nodes).ravel(), (half * weights).ravel()
