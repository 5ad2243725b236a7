import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike

from . import _tables


def elementwise(function: Callable) -> Callable:
    """Broadcast the arguments, compute halves in float32, and compile as one kernel.

    One kernel because a product and a sum that the compiler can see together round once and not twice.
    """
    compiled = jax.jit(function, inline=True)

    @functools.wraps(function)
    def wrapped(*args: ArrayLike) -> Array:
        dtype = jnp.result_type(*args)
        if not jnp.issubdtype(dtype, jnp.floating):
            dtype = jnp.result_type(float)
        inner = jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype
        arrays = jnp.broadcast_arrays(*(jnp.asarray(arg).astype(inner) for arg in args))
        return compiled(*arrays).astype(dtype)

    return wrapped


def table(name: str, dtype: jnp.dtype) -> tuple[float, ...]:
    """The coefficients `name` for `dtype`, which is float32 or float64."""
    return getattr(_tables, f"{name}_{jnp.dtype(dtype).name.upper()}")


def polynomial(coefficients: tuple[float, ...], t: Array) -> Array:
    """Horner's rule, the constant first."""
    value = jnp.full_like(t, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * t + c
    return value


def log_parts(w: Array, rest: Array | None = None) -> tuple[Array, Array]:
    """log(w + rest) for normal w > 0 and |rest| < ulp(w), as the sum of an exact and a small part.

    The first is a multiple of log 2 rounded to few bits, the second at most 0.35 (plus 1e-4 of the first), so
    that a sum in which the first cancels keeps full precision.
    """
    dtype = w.dtype
    bits = jnp.finfo(dtype).nmant
    integer = jnp.int32 if dtype == jnp.float32 else jnp.int64
    one = lax.bitcast_convert_type(jnp.ones((), dtype), integer)
    # the mantissa is taken between sqrt(1/2) and sqrt(2): shift the exponent's rounding point there
    offset = one - lax.bitcast_convert_type(jnp.asarray(0.5**0.5, dtype), integer)
    raw = lax.bitcast_convert_type(w, integer)
    exponent = lax.shift_right_arithmetic(raw + offset - one, jnp.full_like(raw, bits))
    mantissa = lax.bitcast_convert_type(raw - lax.shift_left(exponent, jnp.full_like(raw, bits)), dtype)
    f = mantissa - 1
    if rest is not None:
        f = f + rest * (mantissa / w)
    high, low = table("LN2", dtype)
    k = exponent.astype(dtype)
    square = f * f
    tail = square * (f * polynomial(table("LOG_REMAINDER", dtype), f) - 0.5)
    return k * high, (k * low + tail) + f


def log1p(z: Array) -> Array:
    """log(1 + z) to about 0.6 ULP, for z > -1."""
    high, low = log_parts(*one_plus(z))
    return high + low


def one_plus(z: Array) -> tuple[Array, Array]:
    """1 + z rounded, and what the rounding lost, for z > -1."""
    # XLA takes (1 + z) - 1 for z; it does not where it cannot see the one
    one = jnp.where(z > -2, 1.0, 2.0)
    w = one + z
    return w, z - (w - one)


def reciprocal_parts(a: Array) -> tuple[Array, Array]:
    """1/a as the sum of a number with half the bits and a small rest, good to 1.5 times the precision."""
    dtype = a.dtype
    integer, keep = (jnp.int32, 12) if dtype == jnp.float32 else (jnp.int64, 27)
    mask = jnp.asarray(-(1 << keep), integer)

    def truncate(t):
        return lax.bitcast_convert_type(lax.bitcast_convert_type(t, integer) & mask, dtype)

    q = 1 / a
    high = truncate(q)
    a_high = truncate(a)
    return high, ((1 - high * a_high) - high * (a - a_high)) * q
