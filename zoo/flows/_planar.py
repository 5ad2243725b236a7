import math

import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ._bijection import AbstractBijection, Vector


# The Jacobian's determinant stays above this.
_LEAST = 1e-2
_AT_IDENTITY = math.log(math.expm1(1 - _LEAST))


class Planar(AbstractBijection):
    r"""A planar flow: space is stretched or compressed along one direction, across one hyperplane.

    $$y = z + \hat u \tanh(w^\top z + b), \qquad \log |\det| = \log(1 + w^\top \hat u \, (1 - \tanh^2(w^\top z + b)))$$

    $\hat u = u + (m(w^\top u) - w^\top u) w / \|w\|^2$ with $m > -1$ keeps it invertible. Where the paper has
    $m(a) = -1 + \log(1 + e^a)$, ours is 0 at a = 0, so that u = 0, where it starts, is the identity; and it
    stays above -0.99, so that the log-determinant is finite. The inverse solves one equation for $w^\top z$.

    Rezende & Mohamed, "Variational inference with normalizing flows", 2015, equations 10 to 12 and
    appendix A.1.
    """

    w: Float[Array, " latent"]
    u: Float[Array, " latent"]
    b: Scalar

    def __init__(self, latent_size: int, *, key: PRNGKeyArray):
        """**Arguments:** `latent_size`: at least 1.

        **Raises:** `ValueError` for a size below 1.
        """
        check_counts("Planar", latent_size=latent_size)
        self.w = jr.normal(key, (latent_size,)) * latent_size**-0.5
        self.u = jnp.zeros(latent_size)
        self.b = jnp.zeros(())

    def _direction(self) -> tuple[Vector, Scalar]:
        """u-hat, and its product with w."""
        along = self.w @ self.u
        slope = _LEAST - 1 + jax.nn.softplus(along + _AT_IDENTITY)
        square = jnp.sum(self.w**2) + jnp.finfo(self.w.dtype).tiny
        return self.u + (slope - along) / square * self.w, slope

    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        direction, slope = self._direction()
        bend = jnp.tanh(self.w @ z + self.b)
        return z + direction * bend, jnp.log1p(slope * (1 - bend**2))

    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        direction, slope = self._direction()
        bend = jnp.tanh(_solve(self.w @ y + self.b, slope))
        return y - direction * bend, -jnp.log1p(slope * (1 - bend**2))


@jax.custom_jvp
def _solve(total: Scalar, slope: Scalar) -> Scalar:
    """The one a with a + slope tanh(a) = total, for slope > -1, by bisection and Newton's method."""

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        above = middle + slope * jnp.tanh(middle) > total
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = lax.fori_loop(0, 20, halve, (total - jnp.abs(slope), total + jnp.abs(slope)))
    a = 0.5 * (low + high)
    for _ in range(2):
        bend = jnp.tanh(a)
        a = jnp.clip(a - (a + slope * bend - total) / (1 + slope * (1 - bend**2)), low, high)
    return a


@_solve.defjvp
def _(primals, tangents):
    total, slope = primals
    bend = jnp.tanh(_solve(total, slope))
    return _solve(total, slope), (tangents[0] - bend * tangents[1]) / (1 + slope * (1 - bend**2))
