import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._checks import Real, is_number
from .._custom_types import Scalar
from .._draws import Draws


def renyi(draws: Draws, *, alpha: Real) -> Scalar:
    r"""The variational Rényi bound: a mean of the weights that is stricter the larger alpha is.

    $\frac{1}{1 - \alpha} \log \frac{1}{k} \sum_i w_i^{1 - \alpha}$

    `alpha=0` is `zoo.objectives.iwae` and `alpha=1`, the limit, `zoo.objectives.elbo`; plus infinity
    takes the least log-weight and minus infinity the greatest (the paper's VR-max).

    **Arguments:**

    - `draws`: the k draws of one example.
    - `alpha`: any real number or infinity. A traced scalar is not checked.

    **Returns:**

    The bound, nats; never increasing in `alpha`. Its mean lies below $\log p(x)$ for `alpha >= 0`; below zero
    it is an estimate of an upper bound, itself biased downwards.

    **Raises:**

    `ValueError` if `alpha` is not a number.

    Li and Turner, 2016, [Rényi divergence variational inference](https://arxiv.org/abs/1602.02311),
    sections 3 and 4.
    """
    if is_number(alpha) and alpha != alpha:
        raise ValueError(f"`renyi(alpha={alpha})` is not a number; pass a real `alpha`, or plus or minus infinity")
    return _log_power_mean(draws.log_weight, 1 - alpha)


def power(draws: Draws, *, exponent: Real) -> Scalar:
    r"""The logarithm of the power mean of the weights.

    $\frac{1}{n} \log \frac{1}{k} \sum_i w_i^n$

    It is `zoo.objectives.renyi` at `alpha = 1 - n`, in the terms of those who bound from above: for
    n > 1 it estimates the chi upper bound CUBO.

    **Arguments:**

    - `draws`: the k draws of one example.
    - `exponent`: n, any real number or infinity; 1 is `zoo.objectives.iwae`, 0 `zoo.objectives.elbo`.

    **Returns:**

    The bound, nats; never decreasing in `exponent`. Its mean lies below $\log p(x)$ for `exponent <= 1`.

    **Raises:**

    `ValueError` if `exponent` is not a number.

    Dieng et al., 2017, [Variational inference via chi upper bound
    minimization](https://arxiv.org/abs/1611.00328), section 2.
    """
    if is_number(exponent) and exponent != exponent:
        raise ValueError(f"`power(exponent={exponent})` is not a number; pass a real `exponent`, or an infinity")
    return _log_power_mean(draws.log_weight, exponent)


def _log_power_mean(log_weight: Float[Array, " k"], exponent: Real) -> Scalar:
    exponent = jnp.asarray(exponent, log_weight.dtype)
    flat = jnp.abs(exponent) < 1e-30  # 1 / exponent would overflow
    infinite = jnp.isinf(exponent)
    finite = jnp.where(flat | infinite, 1, exponent)

    least, greatest = jnp.min(log_weight), jnp.max(log_weight)
    pivot = jax.lax.stop_gradient(jnp.where(finite > 0, greatest, least))
    pivot = jnp.where(jnp.isfinite(pivot), pivot, 0)  # a draw without weight, or all of them
    scaled = finite * (log_weight - pivot)  # <= 0, and 0 somewhere
    # log1p keeps the digits of a mean close to 1 (a small exponent); log, those of a small one.
    below_one = jnp.mean(jnp.expm1(scaled))
    close = below_one > -0.5
    log_mean = jnp.where(close, jnp.log1p(jnp.maximum(below_one, -0.5)), jnp.log(jnp.mean(jnp.exp(scaled))))
    limit = jnp.where(flat, jnp.mean(log_weight), jnp.where(exponent > 0, greatest, least))
    return jnp.where(flat | infinite, limit, pivot + log_mean / finite)
