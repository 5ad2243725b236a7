import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
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
)
