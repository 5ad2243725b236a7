import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, stack
from ._split import split


def continuous_bernoulli_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Continuous Bernoulli pixels, one logit each: $\log p(x \mid \eta) = x \eta - A(\eta)$.

    A density (Lebesgue measure) on [0, 1].
    The mean is $A'(\eta)$ and not the sigmoid of the logit. The density at x = 0 and x = 1 is unbounded in
    $\eta$: train and score on dequantised pixels (`zoo.data.dequantise`). Outside [0, 1] it is -inf.

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders", 2019.
    """
    logits, x = split(params, x, 1, "continuous_bernoulli")
    outside = (x < 0) | (x > 1)
    each = special.cb_log_prob(jnp.clip(x, 0.0, 1.0), logits)
    return jnp.sum(jnp.where(outside, -jnp.inf, each))


def continuous_bernoulli_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    # The likeliest logit is that of the mean, by bisection. Of means above 1/2 it is that of the mean of 1 - x.
    mean = np.clip(as_float64(xs).mean(axis=0), 1e-4, 1 - 1e-4)
    smaller = np.minimum(mean, 1 - mean)
    low, high = np.full_like(mean, -1e4), np.full_like(mean, -1e-3)
    for _ in range(40):
        # The logits are spaced evenly in their logarithm, as they reach from 0 to the inverse of the mean.
        middle = -np.sqrt(low * high)
        with np.errstate(over="ignore"):
            below = -1 / np.expm1(-middle) - 1 / middle < smaller
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return stack(np.where(mean > 0.5, -low, low))


def continuous_bernoulli_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return special.cb_mean(params)


def continuous_bernoulli_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    return special.cb_icdf(jr.uniform(key, params.shape, params.dtype), params)


continuous_bernoulli = Likelihood(
    continuous_bernoulli_log_prob,
    continuous_bernoulli_mean,
    continuous_bernoulli_sample,
    channels=1,
    measure="lebesgue",
    support=(0.0, 1.0),
    integer_unit=255,
    wide=True,
    marginals=continuous_bernoulli_marginals,
)
