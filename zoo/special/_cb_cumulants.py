import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._elementary import log_parts, polynomial, reciprocal_parts, table
from ._tables import SWITCH, SWITCH_VARIANCE, VARIANCE_CENTRE


# Throughout: eta is the logit, a = |eta|, u = a^2, and both arms of every `where` are finite. The mean, the
# variance and their derivatives are functions of their own, linked by custom_jvp: what is differentiated is
# never a `where`, and no accuracy is lost with the order.

# |eta| from which exp(-a) has long been nothing beside 1/a, and beyond which the low part of 1/a underflows.
_REMOTE = 2.0**50


def _arms(logits: Array, switch: float) -> tuple[Array, Array, Array]:
    """Is |eta| small; eta^2 where it is; |eta| where it is not."""
    a = jnp.abs(logits)
    near = jnp.minimum(a, switch)
    return a < switch, near * near, jnp.maximum(a, switch)


def log_ratio_parts(logits: Array) -> tuple[Array, Array]:
    """-A(-|eta|) = log(a / (1 - exp(-a))) >= 0, as two summands of which the first is exact."""
    dtype = logits.dtype
    small, u, a = _arms(logits, SWITCH)
    half = 0.5 * jnp.minimum(jnp.abs(logits), SWITCH)
    near = -u * polynomial(table("EVEN_PART", dtype), u)
    e = jnp.exp(-a)
    high, low = log_parts(a)
    far = e * polynomial(table("LOG_COMPLEMENT", dtype), e) + low
    return jnp.where(small, half, high), jnp.where(small, near, far)


def folded_mean(logits: Array) -> Array:
    """A'(-|eta|) = 1/a - 1/(exp(a) - 1), between 0 and 1/2."""
    dtype = logits.dtype
    small, u, a = _arms(logits, SWITCH)
    near = 0.5 - jnp.minimum(jnp.abs(logits), SWITCH) * polynomial(table("SLOPE", dtype), u)
    e = jnp.exp(-a)
    high, low = reciprocal_parts(a)
    far = jnp.where(a < _REMOTE, high + (low - e / (1 - e)), 1 / a)
    return jnp.where(small, near, far)


@jax.custom_jvp
def log_normalizer(logits: Array) -> Array:
    dtype = logits.dtype
    small, u, a = _arms(logits, SWITCH)
    near = 0.5 * logits + u * polynomial(table("EVEN_PART", dtype), u)
    high, low = log_ratio_parts(logits)
    positive = jnp.maximum(logits, 0.0)
    total = positive - high
    return jnp.where(small, near, total + (((positive - total) - high) - low))


@jax.custom_jvp
def mean(logits: Array) -> Array:
    small, u, _ = _arms(logits, SWITCH)
    near = 0.5 + jnp.clip(logits, -SWITCH, SWITCH) * polynomial(table("SLOPE", logits.dtype), u)
    m = folded_mean(logits)
    # Strictly inside, as it is, where rounding would make it 0 or 1: beyond 1e38 or 3e7 in float32.
    limits = jnp.finfo(logits.dtype)
    return jnp.clip(jnp.where(small, near, jnp.where(logits > 0, 1 - m, m)), limits.tiny, 1 - limits.epsneg)


@jax.custom_jvp
def variance(logits: Array) -> Array:
    small, u, a = _arms(logits, SWITCH_VARIANCE)
    near = polynomial(table("VARIANCE", logits.dtype), u - VARIANCE_CENTRE)
    e = jnp.exp(-a)
    odds = e / (1 - e)
    scale = jnp.where(a < _REMOTE, 1.0, 1 / _REMOTE)
    high, low = reciprocal_parts(a * scale)
    far = high * high + ((2 * high + low) * low - odds * (1 + odds))
    return jnp.where(small, near, far * scale * scale)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def cumulant(order: int, logits: Array) -> Array:
    """The derivative of A of `order` >= 3, from its series or from 1/a and 1/(exp(a) - 1)."""
    small, u, a = _arms(logits, SWITCH)
    near = polynomial(_series(order), u)
    if order % 2:
        near = near * jnp.clip(logits, -SWITCH, SWITCH)
    e = jnp.exp(-a)
    odds = e / (1 - e)
    power = 1 / a
    for i in range(1, order):
        power = power * (i / a)
    far = power - polynomial(_powers(order), odds)
    if order % 2:
        far = jnp.where(logits > 0, -far, far)
    return jnp.where(small, near, far)


@functools.cache
def _bernoulli_number(n: int) -> Fraction:
    if n == 0:
        return Fraction(1)
    return -sum((math.comb(n + 1, i) * _bernoulli_number(i) for i in range(n)), Fraction(0)) / (n + 1)


@functools.cache
def _series(order: int) -> tuple[float, ...]:
    """Coefficients in eta^2 of A^(order), by eta for odd orders, from A = eta/2 + sum B_n eta^n/(n n!)."""
    first = order + order % 2
    return tuple(float(_bernoulli_number(n) / n / math.factorial(n - order)) for n in range(first, first + 56, 2))


@functools.cache
def _powers(order: int) -> tuple[float, ...]:
    """Coefficients in s = 1/(exp(a) - 1) of (-d/da)^(order - 1) s, by ds/da = -s(1 + s)."""
    row = {1: 1}
    for _ in range(order - 1):
        following: dict[int, int] = {}
        for power, c in row.items():
            following[power] = following.get(power, 0) + power * c
            following[power + 1] = following.get(power + 1, 0) + power * c
        row = following
    return (0.0, *(float(row[power]) for power in range(1, order + 1)))


@log_normalizer.defjvp
def _(primals, tangents):
    return log_normalizer(*primals), mean(*primals) * tangents[0]


@mean.defjvp
def _(primals, tangents):
    return mean(*primals), variance(*primals) * tangents[0]


@variance.defjvp
def _(primals, tangents):
    return variance(*primals), cumulant(3, *primals) * tangents[0]


@cumulant.defjvp
def _(order, primals, tangents):
    return cumulant(order, *primals), cumulant(order + 1, *primals) * tangents[0]


@jax.custom_jvp
def log_prob(x: Array, logits: Array) -> Array:
    # For eta > 0 the distribution is reflected, so that x = 1 meets no cancellation. The product stands
    # first: it is then the one that is fused with the sum, and high - |product| costs no rounding where it
    # cancels.
    base = jnp.where(logits > 0, 1.0, 0.0)
    reflected = x - base
    rest = x - (reflected + base)
    high, low = log_ratio_parts(logits)
    return (reflected * logits + high) + (rest * logits + low)


@jax.custom_jvp
def score(x: Array, logits: Array) -> Array:
    m = folded_mean(logits)
    return jnp.where(logits > 0, m - (1 - x), x - m)


@log_prob.defjvp
def _(primals, tangents):
    x, logits = primals
    return log_prob(x, logits), logits * tangents[0] + score(x, logits) * tangents[1]


@score.defjvp
def _(primals, tangents):
    return score(*primals), tangents[0] - variance(primals[1]) * tangents[1]
