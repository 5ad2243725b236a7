import math

import jax.numpy as jnp
from jax.scipy.special import logsumexp

from .._checks import Real, is_number, number_of_draws
from .._custom_types import Scalar
from .._draws import Draws
from ._elbo import elbo


def iwae(draws: Draws) -> Scalar:
    r"""The importance-weighted bound: the logarithm of the mean weight.

    $\log \frac{1}{k} \sum_i w_i$ with $w_i = \frac{p(x \mid z_i) \, p(z_i)}{q(z_i \mid x)}$

    **Arguments:**

    - `draws`: the k draws of one example.

    **Returns:**

    The bound on $\log p(x)$, nats: tighter as k grows, and `zoo.objectives.elbo` at k = 1.

    Burda, Grosse and Salakhutdinov, 2016, [Importance weighted
    autoencoders](https://arxiv.org/abs/1509.00519), equation (8).
    """
    return logsumexp(draws.log_weight) - math.log(number_of_draws(draws))


def miwae(draws: Draws, *, m: int) -> Scalar:
    r"""The mean of the importance-weighted bounds of m groups of draws.

    $\frac{1}{m} \sum_{g=1}^{m} \log \frac{m}{k} \sum_{i \in g} w_i$

    **Arguments:**

    - `draws`: the k draws of one example; a group is k / m neighbouring ones.
    - `m`: the number of groups, a divisor of k. `m=1` is `zoo.objectives.iwae`, `m=k` is
        `zoo.objectives.elbo`.

    **Returns:**

    The bound on $\log p(x)$, nats, between those two.

    **Raises:**

    `ValueError` if m does not divide k.

    Rainforth et al., 2018, [Tighter variational bounds are not necessarily
    better](https://arxiv.org/abs/1802.04537), section 5, MIWAE.
    """
    k = number_of_draws(draws)
    if m < 1 or k % m != 0:
        raise ValueError(
            f"`miwae(m={m})` splits the k draws into m equal groups, got k={k}; "
            f"pass an m >= 1 that divides k, or a k that is a multiple of m"
        )
    groups = draws.log_weight.reshape(m, k // m)
    return jnp.mean(logsumexp(groups, axis=1)) - math.log(k // m)


def ciwae(draws: Draws, *, beta: Real) -> Scalar:
    r"""A convex combination of the evidence lower bound and the importance-weighted one.

    $\beta \, \mathrm{ELBO} + (1 - \beta) \, \mathrm{IWAE}$

    **Arguments:**

    - `draws`: the k draws of one example.
    - `beta`: the share of `zoo.objectives.elbo`, in [0, 1]. A traced scalar is not checked.

    **Returns:**

    The bound on $\log p(x)$, nats.

    **Raises:**

    `ValueError` if `beta` lies outside [0, 1] or is not a number.

    Rainforth et al., 2018, [Tighter variational bounds are not necessarily
    better](https://arxiv.org/abs/1802.04537), section 5, CIWAE.
    """
    if is_number(beta) and not 0 <= beta <= 1:
        raise ValueError(f"`ciwae(beta={beta})` mixes two bounds; pass a `beta` in [0, 1]")
    # A bound without a share is left out: a draw that cannot be makes it minus infinity, and 0 times that is no number.
    first = jnp.where(beta == 0, 0, beta * elbo(draws))
    return first + jnp.where(beta == 1, 0, (1 - beta) * iwae(draws))
