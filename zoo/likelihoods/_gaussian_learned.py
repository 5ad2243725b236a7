import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._bounded import LOG_SCALE_MIN
from ._likelihood import Likelihood
from ._marginals import as_float64, log_spread, stack, unbend
from ._split import groups, split


def gaussian_learned_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Gaussian with a mean and a log-scale for every dimension, two channels in this order.

    $$\log p(x \mid \mu, r) = -\frac{(x - \mu)^2}{2 \sigma^2} - \log \sigma - \frac12 \log 2\pi, \qquad
    \log \sigma = -6 + \mathrm{softplus}(r + 6)$$

    A density (Lebesgue measure) on the real line. The scale stays above exp(-6) = 0.0025 in the units of x,
    less than one grey level of images in [0, 1], so that the density cannot grow without bound.
    """
    mean, raw, x = split(params, x, 2, "gaussian_learned")
    log_scale = special.above(raw, LOG_SCALE_MIN)
    z = (x - mean) * jnp.exp(-log_scale)
    return jnp.sum(-0.5 * z * z - log_scale - 0.5 * math.log(2 * math.pi))


def gaussian_learned_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    xs = as_float64(xs)
    return stack(xs.mean(axis=0), unbend(log_spread(xs), LOG_SCALE_MIN))


def gaussian_learned_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return groups(params, 2, "gaussian_learned")[0]


def gaussian_learned_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    mean, raw = groups(params, 2, "gaussian_learned")
    return mean + jnp.exp(special.above(raw, LOG_SCALE_MIN)) * jr.normal(key, mean.shape, mean.dtype)


gaussian_learned = Likelihood(
    gaussian_learned_log_prob,
    gaussian_learned_mean,
    gaussian_learned_sample,
    channels=2,
    learns_scale=True,
    marginals=gaussian_learned_marginals,
)
