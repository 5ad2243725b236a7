import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import betaln
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, climb, stack
from ._split import groups, split


_LOW, _HIGH = -3.0, 12.0


def beta_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Beta on [0, 1]: the logarithms of both shapes for every dimension, two channels in this order.

    $$p(x \mid r, s) = \frac{\Gamma(a + b)}{\Gamma(a) \Gamma(b)} x^{a - 1} (1 - x)^{b - 1}$$

    A density (Lebesgue measure) on (0, 1), -inf outside [0, 1]. The logarithms of a and b are r and s, bent by
    two softplus to stay between -3 and 12: the standard deviation then stays above $e^{-6}/\sqrt 8$ for a mean
    of 1/2, and the density cannot collapse onto a point. Where a or b is below 1 it is still unbounded at 0 or
    1: x is moved inside by the smallest positive float, or half a unit in the last place of 1, and data should
    be dequantised.
    """
    raw_a, raw_b, x = split(params, x, 2, "beta")
    log_a, log_b = special.between(raw_a, _LOW, _HIGH), special.between(raw_b, _LOW, _HIGH)
    a, b = jnp.exp(log_a), jnp.exp(log_b)
    total = a + b
    outside = (x < 0) | (x > 1)
    finfo = jnp.finfo(x.dtype)
    x = jnp.clip(x, float(finfo.tiny), 1 - float(finfo.epsneg))
    # relative to the mean a/(a + b), with Stirling's formula for the gammas: at large a and b nothing large
    # cancels
    rest = x * b - (1 - x) * a  # (a + b) x - a
    each = (
        a * _log_ratio(x, a / total, rest / a)
        + b * _log_ratio(1 - x, b / total, -rest / b)
        - jnp.log(x)
        - jnp.log1p(-x)
        + 0.5 * (log_a + log_b - jnp.log(total) - math.log(2 * math.pi))
        + special.stirling_remainder(total)
        - special.stirling_remainder(a)
        - special.stirling_remainder(b)
    )
    return jnp.sum(jnp.where(outside, -jnp.inf, each))


def _log_ratio(x: Array, mean: Array, excess: Array) -> Array:
    """log(x/mean), where excess = x/mean - 1."""
    near = jnp.abs(excess) < 0.5
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), jnp.log(x) - jnp.log(mean))


def beta_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    # The mean of log p(x) depends on the data by the means of log x and of log (1 - x) alone.
    xs = np.clip(as_float64(xs), 1e-6, 1 - 1e-6)
    of_log, of_log_rest = np.log(xs).mean(axis=0), np.log1p(-xs).mean(axis=0)
    mean, variance = xs.mean(axis=0), np.maximum(xs.var(axis=0), 1e-8)
    total = np.maximum(mean * (1 - mean) / variance - 1, 0.1)
    guess = np.clip(np.log([mean * total, (1 - mean) * total]), _LOW + 0.1, _HIGH - 0.1)
    return climb(_mean_log_prob, stack(*guess), np.stack([of_log, of_log_rest])[None], channels=2)


def _mean_log_prob(params: Float[Array, " ..."], of_logs: Float[Array, " 2 ..."]) -> Scalar:
    raw_a, raw_b = groups(params, 2, "beta")
    a, b = jnp.exp(special.between(raw_a, _LOW, _HIGH)), jnp.exp(special.between(raw_b, _LOW, _HIGH))
    return jnp.sum((a - 1) * of_logs[0] + (b - 1) * of_logs[1] - betaln(a, b))


def beta_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    raw_a, raw_b = groups(params, 2, "beta")
    return special.sigmoid(special.between(raw_a, _LOW, _HIGH) - special.between(raw_b, _LOW, _HIGH))


def beta_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    raw_a, raw_b = groups(params, 2, "beta")
    a, b = jnp.exp(special.between(raw_a, _LOW, _HIGH)), jnp.exp(special.between(raw_b, _LOW, _HIGH))
    return jr.beta(key, a, b, a.shape, a.dtype)


beta = Likelihood(
    beta_log_prob,
    beta_mean,
    beta_sample,
    channels=2,
    support=(0.0, 1.0),
    integer_unit=255,
    marginals=beta_marginals,
)
