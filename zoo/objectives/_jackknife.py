import math

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from .._checks import number_of_draws
from .._custom_types import Scalar
from .._draws import Draws
from ._iwae import iwae


def jackknife(draws: Draws, *, order: int) -> Scalar:
    r"""The importance-weighted bound with its bias of order 1/k, or of 1/k and 1/k^2, taken out.

    $\sum_{j=0}^{m} c_j \bar L_{k-j}$ with $c_j = (-1)^j \frac{(k-j)^m}{(m-j)! \, j!}$

    where $\bar L_{k-j}$ is the mean of `zoo.objectives.iwae` over all subsets of k - j draws.

    **Arguments:**

    - `draws`: the k draws of one example.
    - `order`: m: 0 (`zoo.objectives.iwae`), 1, or 2 (which forms k by k numbers).

    **Returns:**

    An estimate of $\log p(x)$, nats, of bias $O(k^{-m-1})$. For m > 0 it bounds nothing, and it varies
    more than `zoo.objectives.iwae`; a few draws that carry all the weight throw it far off.

    **Raises:**

    `ValueError` if the order is not 0, 1 or 2, or if k does not exceed it.

    Nowozin, 2018, [Debiasing evidence approximations: on importance-weighted autoencoders and
    jackknife variational inference](https://openreview.net/forum?id=HyZoi-WRb), section 4.
    """
    k = number_of_draws(draws)
    if order not in (0, 1, 2):
        raise ValueError(f"`jackknife(order={order})`: pass an `order` of 0, 1 or 2")
    if k <= order:
        raise ValueError(f"`jackknife(order={order})` leaves out {order} of the draws, got k={k}; pass k > order")
    bound = iwae(draws)
    # Differences of bounds, not bounds, are multiplied by k and k^2: they are small, and exact to rounding.
    if order >= 1:
        once = math.log1p(-1 / k) - jnp.mean(_log_share_without_one(draws.log_weight))
        bound = bound + (k - 1) ** order * once
    if order == 2:
        twice = math.log1p(-2 / k) - _mean_log_share_without_two(draws.log_weight)
        bound = bound - 0.5 * (k - 2) ** 2 * twice
    return bound


def _log_share_without_one(log_weight: Float[Array, " k"]) -> Float[Array, " k"]:
    """For each draw, the logarithm of the share of the total weight that all the others have."""
    total = logsumexp(log_weight)
    top = _is_top(log_weight)
    share = jnp.exp(log_weight - total)
    # 1 - share cancels only for the greatest draw, whose companions are summed afresh.
    companions = logsumexp(jnp.where(top, -jnp.inf, log_weight)) - total
    return jnp.where(top, companions, jnp.log1p(-jnp.where(top, 0, share)))


def _mean_log_share_without_two(log_weight: Float[Array, " k"]) -> Scalar:
    """The same for pairs of draws, its mean over all of them."""
    k = log_weight.shape[0]
    total = logsumexp(log_weight)
    top = _is_top(log_weight)
    share = jnp.exp(log_weight - total)
    # Pairs without the greatest draw hold two thirds of the weight at most.
    either = share[:, None] + share[None, :]
    ordinary = ~(top[:, None] | top[None, :] | jnp.eye(k, dtype=bool))
    without_top = jnp.sum(jnp.log1p(-jnp.where(ordinary, either, 0))) / 2

    others = jnp.where(top, -jnp.inf, log_weight)
    others_total = logsumexp(others)
    second = _is_top(others)
    others_share = jnp.exp(others - others_total)
    rest = logsumexp(jnp.where(second, -jnp.inf, others)) - others_total
    with_top = jnp.where(second, rest, jnp.log1p(-jnp.where(second, 0, others_share)))
    with_top = jnp.sum(jnp.where(top, 0, with_top)) + (k - 1) * (others_total - total)
    return (without_top + with_top) / (k * (k - 1) / 2)


def _is_top(log_weight: Float[Array, " k"]) -> Array:
    """True for one greatest entry, the first of equals."""
    return jax.nn.one_hot(jnp.argmax(log_weight), log_weight.shape[0], dtype=bool)
