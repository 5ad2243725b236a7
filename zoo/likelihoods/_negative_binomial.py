import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, climb, stack
from ._poisson import LOG_RATE_MAX, log_mean, raw_log_mean, sample_poisson
from ._split import groups, split


_LOW, _HIGH = -6.0, 12.0


def negative_binomial_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Negative binomial counts: log-mean and log-size (inverse dispersion), two channels in this order.

    $$p(x \mid \mu, s) = \frac{\Gamma(x + s)}{x!\, \Gamma(s)} \left(\frac{s}{s + \mu}\right)^s
    \left(\frac{\mu}{s + \mu}\right)^x$$

    A probability (counting measure) of whole numbers x >= 0, given as floats; -inf for any other x. Mean $\mu$,
    variance $\mu + \mu^2/s$: overdispersed counts, such as those of single cells. The log-mean is bent as the
    Poisson's is, the log-size by two softplus to stay between -6 and 12.

    Lopez et al., "Deep generative modeling for single-cell transcriptomics", 2018, use it with these parameters.
    """
    raw_mean, raw_size, x = split(params, x, 2, "negative_binomial")
    outside = (x < 0) | (x != jnp.floor(x))
    positive = jnp.where(outside, 1.0, jnp.maximum(x, 1.0))
    log_mu, log_size = log_mean(raw_mean), special.between(raw_size, _LOW, _HIGH)
    size = jnp.exp(log_size)
    # Mean and x enter by the one number t, or their roundings would part: at counts of 1e6 that is a third of a nat.
    t = jnp.log(positive) - log_mu
    mu = positive * jnp.exp(-t)
    excess = -positive * jnp.expm1(-t) / (mu + size)  # (x - mu)/(mu + size)
    # Stirling's formula for the gammas, gathered so that nothing large cancels: to the Poisson as size grows
    ratio = _log1p(excess, (positive + size) / (mu + size))
    # (x + size) ratio - x t: where size is small beside x both are large, and their difference is taken first.
    small = size < 0.05 * positive
    few = jnp.where(small, size, 0.0)
    distance = jnp.where(
        small,
        size * ratio + positive * (jnp.log1p(few / positive) - special.softplus(log_size - log_mu)),
        (positive + size) * ratio - positive * t,
    )
    each = (
        distance
        + 0.5 * (log_size - jnp.log(positive + size) - jnp.log(positive) - math.log(2 * math.pi))
        + special.stirling_remainder(positive + size)
        - special.stirling_remainder(size)
        - special.stirling_remainder(positive)
    )
    each = jnp.where(x < 1, -size * special.softplus(log_mu - log_size), each)
    return jnp.sum(jnp.where(outside, -jnp.inf, each))


def _log1p(excess: Array, ratio: Array) -> Array:
    """The logarithm of `ratio`, which is 1 + `excess`."""
    near = jnp.abs(excess) < 0.5
    return jnp.where(near, jnp.log1p(jnp.where(near, excess, 0.0)), jnp.log(ratio))


def negative_binomial_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    # The variance is mu + mu^2/size.
    xs = as_float64(xs)
    mean, excess = xs.mean(axis=0), np.maximum(xs.var(axis=0) - xs.mean(axis=0), 1e-3 * xs.mean(axis=0) ** 2 + 1e-6)
    log_size = np.clip(np.log(np.maximum(mean, 1e-3) ** 2 / excess), _LOW + 1, _HIGH - 4)
    return climb(negative_binomial_log_prob, stack(raw_log_mean(xs), log_size), xs, channels=2)


def negative_binomial_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return jnp.exp(log_mean(groups(params, 2, "negative_binomial")[0]))


def negative_binomial_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    raw_mean, raw_size = groups(params, 2, "negative_binomial")
    log_size = special.between(raw_size, _LOW, _HIGH)
    gamma_key, poisson_key = jr.split(key)
    # a Poisson whose rate is a gamma variable of this mean
    log_rate = jr.loggamma(gamma_key, jnp.exp(log_size), raw_mean.shape, raw_mean.dtype)
    rate = jnp.exp(jnp.minimum(log_rate + log_mean(raw_mean) - log_size, LOG_RATE_MAX + 1))
    return sample_poisson(rate, key=poisson_key)


negative_binomial = Likelihood(
    negative_binomial_log_prob,
    negative_binomial_mean,
    negative_binomial_sample,
    channels=2,
    measure="counting",
    support=(0.0, math.inf),
    integer_unit=1,
    marginals=negative_binomial_marginals,
)
