import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._bounded import LOG_SCALE_MIN
from ._likelihood import Likelihood
from ._marginals import as_float64, climb, log_spread, stack
from ._split import groups, split


_LOG_SCALE_MAX = math.log(2)


def truncated_normal_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Normal restricted to [0, 1] and normalised there: location and log-scale, two channels in this order.

    $$p(x \mid \mu, r) = \frac{\phi(z)}{\sigma\,(\Phi(\beta) - \Phi(\alpha))}, \qquad z = \frac{x - \mu}{\sigma},
    \quad \alpha = \frac{-\mu}{\sigma}, \quad \beta = \frac{1 - \mu}{\sigma}$$

    A density (Lebesgue measure) on [0, 1], -inf outside. The location may lie anywhere, and far outside gives
    the density of an exponential; the scale is bent by two softplus to stay between exp(-6) = 0.0025 and 2.
    Bounded for a given scale and location, but not over all locations: dequantise.
    """
    location, raw, x = split(params, x, 2, "truncated_normal")
    scale = jnp.exp(special.between(raw, LOG_SCALE_MIN, _LOG_SCALE_MAX))
    outside = (x < 0) | (x > 1)
    x = jnp.clip(x, 0.0, 1.0)
    # reflected so that the location is at most 1/2
    right = location > 0.5
    m, y = jnp.where(right, 1 - location, location), jnp.where(right, 1 - x, x)
    # for m < 0 the constant m^2 is left out of the exponent and of the integral alike: it would cancel
    exponent = jnp.where(m < 0, y * (2 * m - y), -((y - m) ** 2)) / (2 * scale * scale)
    each = exponent - _log_mass(m, scale, jnp.ones_like(m))
    return jnp.sum(jnp.where(outside, -jnp.inf, each))


def _log_mass(m: Array, scale: Array, end: Array) -> Array:
    """Log of the integral over [0, end] of exp(-(t - m)^2/2 scale^2), times exp(m^2/2 scale^2) if m < 0."""
    root = math.sqrt(2) * scale
    below = jnp.minimum(m, 0.0)
    tail = special.erfcx(-below / root)
    rest = jnp.exp(end * (2 * below - end) / (root * root)) * special.erfcx((end - below) / root)
    above = jnp.maximum(m, 0.0)
    middle = erf(above / root) + erf((end - above) / root)
    return jnp.log(jnp.where(m < 0, tail - rest, middle)) + jnp.log(math.sqrt(math.pi / 2) * scale)


def truncated_normal_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    # The mean of log p(x) is log p at the mean of x, less the variance of x over twice the square of the scale.
    xs = as_float64(xs)
    moments = np.stack([xs.mean(axis=0), xs.var(axis=0)])
    guess = stack(moments[0], np.clip(log_spread(xs), LOG_SCALE_MIN + 0.1, _LOG_SCALE_MAX - 0.1))
    return climb(_mean_log_prob, guess, moments[None], channels=2)


def _mean_log_prob(params: Float[Array, " ..."], moments: Float[Array, " 2 ..."]) -> Scalar:
    log_scale = special.between(groups(params, 2, "truncated_normal")[1], LOG_SCALE_MIN, _LOG_SCALE_MAX)
    return truncated_normal_log_prob(params, moments[0]) - 0.5 * jnp.sum(moments[1] * jnp.exp(-2 * log_scale))


def truncated_normal_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    location, raw = groups(params, 2, "truncated_normal")
    scale = jnp.exp(special.between(raw, LOG_SCALE_MIN, _LOG_SCALE_MAX))
    right = location > 0.5
    m = jnp.where(right, 1 - location, location)
    # an exponential family in m: the mean is scale^2 times the derivative of its log-normaliser
    ones = jnp.ones_like(m)
    _, slope = jax.jvp(lambda m: _log_mass(m, scale, ones), (m,), (ones,))
    mean = jnp.clip(jnp.maximum(m, 0.0) + scale * scale * slope, 0.0, 1.0)
    return jnp.where(right, 1 - mean, mean)


def truncated_normal_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    location, raw = groups(params, 2, "truncated_normal")
    scale = jnp.exp(special.between(raw, LOG_SCALE_MIN, _LOG_SCALE_MAX))
    right = location > 0.5
    m = jnp.where(right, 1 - location, location)
    u = jr.uniform(key, m.shape, m.dtype)
    target = jnp.log(u) + _log_mass(m, scale, jnp.ones_like(m))

    # bisection: the distribution function is accurate in both tails, its inverse in none that is at hand
    def halve(_, bounds):
        low, high = bounds
        middle = 0.5 * (low + high)
        left = _log_mass(m, scale, middle) < target
        return jnp.where(left, middle, low), jnp.where(left, high, middle)

    low, high = jax.lax.fori_loop(0, 40, halve, (jnp.zeros_like(m), jnp.ones_like(m)))
    x = jax.lax.stop_gradient(0.5 * (low + high))
    return jnp.where(right, 1 - x, x)


truncated_normal = Likelihood(
    truncated_normal_log_prob,
    truncated_normal_mean,
    truncated_normal_sample,
    channels=2,
    support=(0.0, 1.0),
    integer_unit=255,
    marginals=truncated_normal_marginals,
)
