import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ._gaussian import positive
from ._likelihood import Likelihood
from ._marginals import as_float64, stack
from ._split import split


def laplace_log_prob(params: Float[Array, " ..."], x: Array, *, scale: float) -> Scalar:
    mean, x = split(params, x, 1, "laplace")
    return jnp.sum(-jnp.abs(x - mean) / scale - math.log(2 * scale))


def laplace_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    return stack(np.median(as_float64(xs), axis=0))


def laplace_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return params


def laplace_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray, scale: float) -> Float[Array, " ..."]:
    return params + scale * jr.laplace(key, params.shape, params.dtype)


def laplace(scale: float = 0.1) -> Likelihood:
    r"""Laplace with the mean as its one parameter and the same fixed scale everywhere.

    $$\log p(x \mid \mu) = -\frac{|x - \mu|}{b} - \log 2b$$

    A density (Lebesgue measure) on the real line: an absolute error, normalised.

    **Arguments:**

    - `scale`: $b > 0$, in the units of x; the standard deviation is $\sqrt 2\, b$.

    **Raises:**

    `ValueError` if `scale` is not positive and finite.
    """
    scale = positive("laplace", "scale", scale)
    return Likelihood(
        eqx.Partial(laplace_log_prob, scale=scale),
        laplace_mean,
        eqx.Partial(laplace_sample, scale=scale),
        marginals=laplace_marginals,
    )
