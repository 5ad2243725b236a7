import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._bounded import LOG_SCALE_MIN
from ._likelihood import Likelihood
from ._marginals import as_float64, climb, stack, unbend
from ._split import groups, split


def student_t_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Student's t: location, log-scale and degrees of freedom for every dimension, three channels in this order.

    $$p(x \mid \mu, r, s) = \frac{\Gamma(\frac{\nu + 1}{2})}{\Gamma(\frac\nu2) \sqrt{\pi \nu}\, \sigma}
    \left(1 + \frac{(x - \mu)^2}{\nu \sigma^2}\right)^{-\frac{\nu + 1}{2}}, \qquad
    \log \sigma = -6 + \mathrm{softplus}(r + 6), \quad \nu = 1 + \mathrm{softplus}(s)$$

    A density (Lebesgue measure) on the real line, with tails that forgive outliers. The scale stays above
    exp(-6) = 0.0025 in the units of x, the degrees of freedom above one, where the mean exists: it is the
    location.

    Takahashi et al., "Student-t variational autoencoder for robust density estimation", 2018.
    """
    location, raw_scale, raw_freedom, x = split(params, x, 3, "student_t")
    log_scale = special.above(raw_scale, LOG_SCALE_MIN)
    half = 0.5 * _freedom(raw_freedom)  # half the degrees of freedom
    t = (x - location) * jnp.exp(-log_scale) / jnp.sqrt(2 * half)
    # log(gamma(half + 1/2)/(gamma(half) sqrt(half))), by Stirling's formula so that nothing large cancels
    ratio = half * jnp.log1p(0.5 / half) - 0.5
    ratio = ratio + special.stirling_remainder(half + 0.5) - special.stirling_remainder(half)
    return jnp.sum(ratio - 0.5 * math.log(2 * math.pi) - log_scale - (half + 0.5) * _log1p_square(t))


def _freedom(raw: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    return 1 + special.softplus(raw)


def _log1p_square(t: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """log(1 + t^2), also where the square would overflow."""
    size = jnp.abs(t)
    far = size > 1e6
    near = jnp.where(far, 0.0, t)
    return jnp.where(far, 2 * jnp.log(jnp.where(far, size, 1.0)), jnp.log1p(near * near))


def student_t_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    xs = as_float64(xs)
    low, median, high = np.quantile(xs, (0.25, 0.5, 0.75), axis=0)
    with np.errstate(divide="ignore"):
        log_scale = np.log(np.where(high > low, (high - low) / 1.349, xs.std(axis=0)))
    guess = stack(median, unbend(log_scale, LOG_SCALE_MIN), np.full_like(median, 5.0))
    return climb(student_t_log_prob, guess, xs, channels=3)


def student_t_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return groups(params, 3, "student_t")[0]


def student_t_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    location, raw_scale, raw_freedom = groups(params, 3, "student_t")
    t = jr.t(key, _freedom(raw_freedom), location.shape, location.dtype)
    return location + jnp.exp(special.above(raw_scale, LOG_SCALE_MIN)) * t


student_t = Likelihood(
    student_t_log_prob,
    student_t_mean,
    student_t_sample,
    channels=3,
    learns_scale=True,
    marginals=student_t_marginals,
)
