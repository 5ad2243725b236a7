import math

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ._toy import AbstractToy


class Checkerboard(AbstractToy):
    r"""Uniform on the eight dark squares, of side 2, of a 4 x 4 board on $[-4, 4)^2$.

    $$p(x) = \tfrac{1}{32} \text{ where } \lfloor x_1 / 2 \rfloor + \lfloor x_2 / 2 \rfloor
      \text{ is even, } 0 \text{ elsewhere}$$

    Its entropy is log 32 = 3.46574 nats. The log-density is exact, and minus infinity off the squares.
    """

    def draw(self, *, key: PRNGKeyArray) -> Float[Array, " 2"]:
        square_key, place_key = jr.split(key)
        # Eight squares: any of four columns, either of the two dark rows in it.
        square = jr.randint(square_key, (), 0, 8)
        column = square % 4
        row = 2 * (square // 4) + column % 2
        corner = 2 * (jnp.stack([column, row]) - 2).astype(jnp.float32)
        # float32's spacing just below 4 is 2^-22: corner + offset is exact and stays within its square.
        offset = (jr.bits(place_key, (2,), jnp.uint32) >> 9).astype(jnp.float32) * 2.0**-22
        return corner + offset

    def log_density(self, x: Float[Array, " 2"]) -> Scalar:
        square = jnp.floor(x / 2)
        dark = jnp.sum(square) % 2 == 0
        on_board = jnp.all((square >= -2) & (square < 2))
        return jnp.where(dark & on_board, jnp.asarray(-math.log(32), x.dtype), -jnp.inf)


checkerboard = Checkerboard()
