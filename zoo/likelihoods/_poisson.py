import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, stack, unbend
from ._split import split


# Rates are bent to stay below exp(20), 5e8, which leaves samples within 32 bits.
LOG_RATE_MAX = 20.0


def poisson_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Poisson counts, one log-rate each: $\log p(x \mid \eta) = x \eta - e^\eta - \log x!$.

    A probability (counting measure) of whole numbers x >= 0, given as floats; -inf for any other x. The
    log-rate is $20 - \mathrm{softplus}(20 - r)$ of the parameter r: as good as r below 10, and never above 20,
    a rate of 5e8.
    """
    raw, x = split(params, x, 1, "poisson")
    outside = (x < 0) | (x != jnp.floor(x))
    positive = jnp.where(outside, 1.0, jnp.maximum(x, 1.0))
    log_rate = log_mean(raw)
    # x (t - 1 + exp(-t)) is the distance of the rate from x, and Stirling's formula the rest
    t = jnp.log(positive) - log_rate
    log_ratio = jnp.minimum(-t, LOG_RATE_MAX)
    distance = positive * (t + jnp.expm1(log_ratio))
    each = -distance - 0.5 * jnp.log(2 * math.pi * positive) - special.stirling_remainder(positive)
    each = jnp.where(x < 1, -jnp.exp(log_rate), each)
    return jnp.sum(jnp.where(outside, -jnp.inf, each))


def log_mean(raw: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """`raw`, bent to stay below the largest log-rate."""
    return LOG_RATE_MAX - special.softplus(LOG_RATE_MAX - raw)


def poisson_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    return stack(raw_log_mean(xs))


def raw_log_mean(xs: Float[Array | np.ndarray, " n ..."]) -> np.ndarray:
    """The parameter of which `log_mean` is the logarithm of each dimension's mean."""
    # Half a count more, or a gene that never occurs would start at minus infinity.
    log_rate = np.log((as_float64(xs).sum(axis=0) + 0.5) / len(xs))
    return -unbend(-log_rate, -LOG_RATE_MAX)


def poisson_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return jnp.exp(log_mean(params))


def poisson_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    return sample_poisson(poisson_mean(params), key=key)


# From here on the rejection sampler of JAX loses digits in float32, and the normal approximation is closer.
_MANY = 4096.0


def sample_poisson(rate: Float[Array, " *shape"], *, key: PRNGKeyArray) -> Float[Array, " *shape"]:
    r"""Poisson counts of these rates; of large ones by $\lambda + \sqrt\lambda\, z + (z^2 - 1)/6$, rounded.

    With z normal that has the mean, the variance and the skewness of the distribution, to a part in $\lambda$.

    Cornish & Fisher, "Moments and cumulants in the specification of distributions", 1938, for the expansion.
    """
    few = jr.poisson(key, jnp.minimum(rate, _MANY), rate.shape).astype(rate.dtype)
    z = jr.normal(jr.fold_in(key, 0), rate.shape, rate.dtype)
    many = jnp.round(rate + jnp.sqrt(rate) * z + (z**2 - 1) / 6)
    return jnp.where(rate < _MANY, few, many)


poisson = Likelihood(
    poisson_log_prob,
    poisson_mean,
    poisson_sample,
    channels=1,
    measure="counting",
    support=(0.0, math.inf),
    integer_unit=1,
    marginals=poisson_marginals,
)
