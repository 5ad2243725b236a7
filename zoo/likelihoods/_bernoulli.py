import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import special
from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, stack
from ._split import split


def bernoulli_log_prob(params: Float[Array, " ..."], x: Array) -> Scalar:
    r"""Bernoulli pixels, one logit each: $\log p(x \mid \eta) = x \eta - \log(1 + e^\eta)$.

    A probability (counting measure) for x in {0, 1}. For grey x in (0, 1) the same formula is the expected
    log-probability of the pixel binarised with probability x: no density of x, and to be compared with none.
    Outside [0, 1] it is -inf.
    """
    logits, x = split(params, x, 1, "bernoulli")
    outside = (x < 0) | (x > 1)
    # clipped first: an infinity in the arm not taken would still make the gradient NaN
    each = special.bernoulli_log_prob(jnp.clip(x, 0.0, 1.0), logits)
    return jnp.sum(jnp.where(outside, -jnp.inf, each))


def bernoulli_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    # Half a count more of each kind, or a pixel that is always black would start at minus infinity.
    share = (as_float64(xs).sum(axis=0) + 0.5) / (len(xs) + 1)
    return stack(np.log(share) - np.log1p(-share))


def bernoulli_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return special.sigmoid(params)


def bernoulli_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    u = jr.uniform(key, params.shape, params.dtype)
    return (u < special.sigmoid(params)).astype(params.dtype)


bernoulli = Likelihood(
    bernoulli_log_prob,
    bernoulli_mean,
    bernoulli_sample,
    channels=1,
    measure="counting",
    support=(0.0, 1.0),
    integer_unit=1,
    marginals=bernoulli_marginals,
)
