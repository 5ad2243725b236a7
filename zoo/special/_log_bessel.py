import functools
import math
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ._elementary import elementwise, polynomial


# The order from which on Debye's expansion is used; below it, a recurrence leads down.
_LEAST = 10
# D_k of log sum_k U_k(p) / nu^k = sum_k D_k(p) / nu^k, as coefficients of p^k, p^(k + 2), ..., p^(3k)
_DEBYE = (
    (3 / 24, -5 / 24),
    (1 / 16, -6 / 16, 5 / 16),
    (375 / 5760, -4779 / 5760, 9945 / 5760, -5525 / 5760),
    (13 / 128, -284 / 128, 1062 / 128, -1356 / 128, 565 / 128),
)


def log_bessel(order: int | float, x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Logarithm of the modified Bessel function of the first kind, without its power at 0 and its growth.

    $$g_\nu(x) = \log \left[\Gamma(\nu + 1) \left(\tfrac 2x\right)^\nu I_\nu(x)\right] - x
      = \log {}_0F_1(;\ \nu + 1;\ x^2 / 4) - x$$

    0 at x = 0 and about $-(\nu + \tfrac12) \log x$ at large x, so that nothing overflows. Smooth in x: its
    derivative is $I_{\nu+1}(x) / I_\nu(x) - 1$.

    **Arguments:** `order`: $\nu$, a number from 0; `x`: at least 0. **Returns:** values at most 0, of x's shape.

    **Raises:** `ValueError` for an order below 0.

    Debye's uniform expansion, DLMF 10.41.3, from order 10 on; below, the recurrence of DLMF 10.29.1.
    """
    if order < 0:
        raise ValueError(f"`log_bessel(order={order})`: pass an order from 0")
    return _of_order(order)(x)


@functools.cache
def _of_order(order: int | float) -> Callable:
    steps = max(0, math.ceil(_LEAST - order))
    top = order + steps

    @elementwise
    def function(x):
        root = jnp.sqrt(top**2 + x**2)
        rise = x**2 / (root + top)
        # root - top - x as it keeps its digits where x is small, and where it is large
        growth = jnp.where(x < top, rise - x, top**2 / (root + x) - top)
        series, slope = _debye(top, top / root)
        value = growth - top * jnp.log1p(rise / (2 * top)) - 0.5 * jnp.log1p(rise / top) + series
        # 0F1(; nu + 2) / 0F1(; nu + 1) = 2 (nu + 1) / x  I_(nu + 1)(x) / I_nu(x), at the top and then downwards
        ratio = 2 * (top + 1) * (1 / (root + top) - 0.5 / root**2 - top / root**3 * slope)
        for i in range(steps):
            upper = top - i
            more = (0.5 * x) ** 2 * ratio / (upper * (upper + 1))
            value = value + jnp.log1p(more)
            ratio = 1 / (1 + more)
        return value

    return function


def _debye(order: int | float, p: Array) -> tuple[Array, Array]:
    """The sum of D_k(p) / order^k without its value at p = 1, where x is 0; and its derivative by p."""
    size = 3 * len(_DEBYE) + 1
    coefficients = [0.0] * size
    for k, terms in enumerate(_DEBYE, 1):
        for j, c in enumerate(terms):
            coefficients[k + 2 * j] += c / order**k
    at_zero = sum(coefficients)
    slope = tuple(i * c for i, c in enumerate(coefficients) if i)
    return polynomial(tuple(coefficients), p) - at_zero, polynomial(slope, p)
