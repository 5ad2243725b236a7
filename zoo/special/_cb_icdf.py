import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from ._elementary import elementwise, log_parts, one_plus


# |eta| below which the derivative in eta is a quadrature of a positive function; above, a difference.
_SWITCH = 3.0
# |eta| below which x - u is such a quadrature.
_GENTLE = 1.0
# exp(_OFFSET) keeps what is added to u from underflowing where exp(-a) would.
_OFFSET = 22.0


def _fold(u: Array, v: Array, logits: Array) -> tuple[Array, Array, Array, Array]:
    """Is x > 1/2; and u, 1 - u and eta of the reflected distribution where it is, so that x <= 1/2."""
    half = jnp.exp(-0.5 * jnp.abs(logits))
    flip = jnp.where(logits > 0, u > v * half, u * half >= v)
    return flip, jnp.where(flip, v, u), jnp.where(flip, u, v), jnp.where(flip, -logits, logits)


def _log_growth(u: Array, v: Array, logits: Array) -> Array:
    """log(1 + u (exp(eta) - 1)) = log(v + u exp(eta)), which is eta x."""
    dtype = u.dtype
    a = jnp.abs(logits)
    limit = _limit(dtype)
    positive = logits > 0
    z = u * jnp.expm1(jnp.minimum(logits, limit))
    w, rest = one_plus(z)
    beyond = logits > limit
    raised, e, _ = _raise(u, a)
    w_beyond = raised + e
    tail = ~positive & (z < -0.5)
    w = jnp.where(beyond, w_beyond, jnp.where(tail, v + u * jnp.exp(-a), w))
    rest = jnp.where(beyond | tail, 0.0, rest)
    high, low = log_parts(jnp.maximum(w, jnp.finfo(dtype).tiny), rest)
    return (jnp.where(beyond, a - _OFFSET, 0.0) + high) + low


def _raise(u: Array, a: Array) -> tuple[Array, Array, Array]:
    """u and exp(-a), both times a common factor where exp(-a) would underflow, and that factor."""
    beyond = a > _limit(u.dtype)
    factor = jnp.where(beyond, float(np.exp(_OFFSET)), 1.0)
    return u * factor, jnp.exp(jnp.where(beyond, _OFFSET, 0.0) - a), factor


def _limit(dtype: jnp.dtype) -> float:
    """exp(limit) is within the range of floats."""
    return 85.0 if dtype == jnp.float32 else 700.0


@jax.custom_jvp
def _icdf(u: Array, v: Array, logits: Array) -> Array:
    """The inverse distribution function at u, given also v = 1 - u, for accuracy at either end."""
    dtype = u.dtype
    flip, u, v, eta = _fold(u, v, logits)
    zero = jnp.abs(eta) < jnp.finfo(dtype).tiny
    eta = jnp.where(zero, 1.0, eta)
    # where u (exp(eta) - 1) is so small that the logarithm is linear, it might underflow: leave it out
    excess = jnp.expm1(jnp.minimum(eta, _limit(dtype)))
    growth = jnp.where(zero, 1.0, excess / eta)
    linear = u * jnp.abs(excess) < 1e-3 * jnp.finfo(dtype).eps
    linear = (linear & (eta <= _limit(dtype))) | (u == 0) | zero
    x = jnp.where(linear, u * growth, _log_growth(u, v, eta) / eta)
    # near eta = 0 the error of the small number x - u counts for little
    path = jnp.clip(eta, -_GENTLE, _GENTLE)
    count = 5 if dtype == jnp.float32 else 9
    shift = u * v * _mean_over_path(lambda r, growth, total: jnp.expm1(r * path) / total, u, v, path, count)
    x = jnp.where(jnp.abs(eta) < _GENTLE, jnp.where(zero, u, u + shift), x)
    return jnp.where(flip, 1 - x, x)


@functools.cache
def _nodes(count: int) -> list[tuple[float, float]]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return [((1 + float(t)) / 2, float(w) / 2) for t, w in zip(nodes, weights)]


def _mean_over_path(function: Callable, u: Array, v: Array, eta: Array, count: int) -> Array:
    """Mean over r in [0, 1] of function(r, exp(r eta), v + u exp(r eta)), by `count` Gauss-Legendre nodes."""
    mean = jnp.zeros_like(u)
    for r, weight in _nodes(count):
        growth = jnp.exp(r * eta)
        mean = mean + weight * function(r, growth, v + u * growth)
    return mean


def _by_logits(u: Array, v: Array, logits: Array) -> Array:
    r"""dx/d eta, where x(u, eta) is the mean over r in [0, 1] of s(r) = sigmoid(logit(u) + r eta)."""
    dtype = u.dtype
    small = jnp.abs(logits) < _SWITCH

    # d/d eta of that mean: the integral of r s(r) (1 - s(r)), every term positive
    eta = jnp.clip(logits, -_SWITCH, _SWITCH)
    count = 7 if dtype == jnp.float32 else 14
    near = u * v * _mean_over_path(lambda r, growth, total: r * growth / (total * total), u, v, eta, count)

    # (s(1) - x)/eta, in the folded variables, where s(1) and x are not both near one
    _, u, v, eta = _fold(u, v, jnp.where(small, _SWITCH, logits))
    x = _icdf(u, v, eta)
    rising = _rising(u, v, jnp.abs(eta)) - x
    # u is taken out of the difference, since u exp(eta) might underflow
    falling = u * (_tilt(u, v, -jnp.abs(eta)) - x / jnp.maximum(u, jnp.finfo(dtype).tiny))
    return jnp.where(small, near, jnp.where(eta > 0, rising, falling) / eta)


@jax.custom_jvp
def _rising(u: Array, v: Array, eta: Array) -> Array:
    """s(1) for eta >= 0; its derivative in eta is s(1) (1 - s(1)), which nothing overflows in."""
    raised, e, factor = _raise(u, eta)
    return raised / jnp.maximum(raised + v * e, jnp.finfo(u.dtype).tiny * factor)


@jax.custom_jvp
def _tilt(u: Array, v: Array, eta: Array) -> Array:
    """s(1)/u for eta <= 0."""
    e = jnp.exp(eta)
    return e / jnp.maximum(v + u * e, jnp.finfo(u.dtype).tiny)


def _rising_jvp(primals, tangents):
    u, v, eta = primals
    value, tangent = _rising(u, v, eta), jnp.zeros_like(u)
    if not isinstance(tangents[0], SymbolicZero):
        e = jnp.exp(-eta)
        total = jnp.maximum(u + v * e, jnp.finfo(u.dtype).tiny)
        tangent = tangent + (e / total) / total * tangents[0]
    if not isinstance(tangents[2], SymbolicZero):
        tangent = tangent + value * (v * _tilt(v, u, -eta)) * tangents[2]
    return value, tangent


def _tilt_jvp(primals, tangents):
    u, v, eta = primals
    value, tangent = _tilt(u, v, eta), jnp.zeros_like(u)
    if not isinstance(tangents[0], SymbolicZero):
        total = jnp.maximum(v + u * jnp.exp(eta), jnp.finfo(u.dtype).tiny)
        tangent = tangent - value * (jnp.expm1(eta) / total) * tangents[0]
    if not isinstance(tangents[2], SymbolicZero):
        tangent = tangent + value * _rising(v, u, -eta) * tangents[2]
    return value, tangent


_rising.defjvp(_rising_jvp, symbolic_zeros=True)
_tilt.defjvp(_tilt_jvp, symbolic_zeros=True)


def _by_u(u: Array, v: Array, logits: Array) -> Array:
    """dx/du = 1/p(x), held below the largest float."""
    tiny = jnp.finfo(u.dtype).tiny
    a = jnp.abs(logits)
    zero = a < tiny
    safe = jnp.where(zero, 1.0, a)
    near, far = jnp.where(logits > 0, u, v), jnp.where(logits > 0, v, u)
    near, e, factor = _raise(near, a)
    density = jnp.maximum(near + far * e, tiny * factor)
    return jnp.where(zero, 1.0, -jnp.expm1(-safe) / safe) * (factor / density)


def _icdf_jvp(primals, tangents):
    tangent = jnp.zeros_like(primals[0])
    # uniform numbers are seldom differentiated, and 1/p(x) is steep enough to overflow
    for function, dot in ((_by_u, tangents[0]), (_by_logits, tangents[2])):
        if not isinstance(dot, SymbolicZero):
            tangent = tangent + function(*primals) * dot
    return _icdf(*primals), tangent


_icdf.defjvp(_icdf_jvp, symbolic_zeros=True)


@elementwise
def cb_icdf(u: Float[Array, " *shape"], logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Inverse distribution function of the continuous Bernoulli, which turns uniform numbers into samples.

    $$F^{-1}(u \mid \eta) = \frac{\log(1 + u (e^\eta - 1))}{\eta}$$

    Differentiable in both arguments (so samples are reparameterised): in $\eta$ by a quadrature of a
    positive function where the closed form would cancel.

    **Arguments:**

    - `u`: values in [0, 1].
    - `logits`: $\eta$, as for [`cb_log_normalizer`][zoo.special.cb_log_normalizer].

    **Returns:**

    x in [0, 1], of the common shape, with 0 and 1 at u = 0 and 1.
    """
    return _icdf(u, 1 - u, logits)
