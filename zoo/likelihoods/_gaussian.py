import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import as_float64, stack
from ._split import split


def gaussian_log_prob(params: Float[Array, " ..."], x: Array, *, scale: float) -> Scalar:
    mean, x = split(params, x, 1, "gaussian")
    z = (x - mean) / scale
    return jnp.sum(-0.5 * z * z - (math.log(scale) + 0.5 * math.log(2 * math.pi)))


def gaussian_marginals(xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
    return stack(as_float64(xs).mean(axis=0))


def gaussian_mean(params: Float[Array, " ..."]) -> Float[Array, " ..."]:
    return params


def gaussian_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray, scale: float) -> Float[Array, " ..."]:
    return params + scale * jr.normal(key, params.shape, params.dtype)


def gaussian(scale: float = 0.1) -> Likelihood:
    r"""Gaussian with the mean as its one parameter and the same fixed scale everywhere.

    $$\log p(x \mid \mu) = -\frac{(x - \mu)^2}{2 \sigma^2} - \log \sigma - \frac12 \log 2\pi$$

    A density (Lebesgue measure) on the real line.

    **Arguments:**

    - `scale`: $\sigma > 0$, in the units of x. A Python number, held fixed.

    **Returns:**

    A `Likelihood` with one channel.

    **Raises:**

    `ValueError` if `scale` is not positive and finite.
    """
    scale = positive("gaussian", "scale", scale)
    return Likelihood(
        eqx.Partial(gaussian_log_prob, scale=scale),
        gaussian_mean,
        eqx.Partial(gaussian_sample, scale=scale),
        marginals=gaussian_marginals,
    )


def positive(call: str, name: str, value: float) -> float:
    """`value` as a float, if it is positive and finite."""
    value = float(value)
    if not 0 < value < math.inf:
        raise ValueError(f"`{call}({name}={value})`: {name} must be positive and finite; pass {name} > 0")
    return value
