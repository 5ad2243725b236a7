import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._bounded import LOG_SCALE_MIN
from ._likelihood import Likelihood
from ._marginals import as_float64, climb, log_spread, stack, unbend
from ._split import groups, split


def logistic_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Logistic with a mean and a log-scale for every dimension, two channels in this order.

    $$p(x \mid \mu, r) = \frac{e^{-z}}{s (1 + e^{-z})^2}, \qquad z = \frac{x - \mu}{s}, \quad
    \log s = -6 + \mathrm{softplus}(r + 6)$$

    A density (Lebesgue measure) on the real line; the scale stays above exp(-6) = 0.0025 in the units of x.
    """
    mean, raw, x = split(params, x, 2, "logistic")
    log_scale = special.above(raw, LOG_SCALE_MIN)
    z = (x - mean) * jnp.exp(-log_scale)
    return jnp.sum(-special.softplus(z) - special.softplus(-z) - log_scale)


def logistic_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    # The standard deviation is pi/sqrt(3) scales.
    xs = as_float64(xs)
    log_scale = log_spread(xs) + math.log(math.sqrt(3) / math.pi)
    return climb(logistic_log_prob, stack(xs.mean(axis=0), unbend(log_scale, LOG_SCALE_MIN)), xs, channels=2)


def logistic_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return groups(params, 2, "logistic")[0]


def logistic_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    mean, raw = groups(params, 2, "logistic")
    return mean + jnp.exp(special.above(raw, LOG_SCALE_MIN)) * jr.logistic(key, mean.shape, mean.dtype)


logistic = Likelihood(
    logistic_log_prob,
    logistic_mean,
    logistic_sample,
    channels=2,
    learns_scale=True,
    marginals=logistic_marginals,
)
