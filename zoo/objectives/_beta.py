import jax.numpy as jnp

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws


def divergence(draws: Draws) -> Scalar:
    """KL(q(z | x) || p(z)), nats: in closed form where there is one, else estimated from the draws."""
    if draws.kl is not None:
        return draws.kl
    return jnp.mean(draws.rate)


def beta_elbo(draws: Draws, *, beta: Real) -> Scalar:
    r"""The evidence lower bound with its divergence weighted by beta.

    $\frac{1}{k} \sum_i \log p(x \mid z_i) - \beta \, KL(q(z \mid x) \,\|\, p(z))$

    The divergence is `draws.kl` where the posterior and prior have it in closed form; otherwise it is the
    draws' mean of $\log q(z_i \mid x) - \log p(z_i)$.

    **Arguments:**

    - `draws`: the k draws of one example.
    - `beta`: the weight, >= 0. A traced scalar is not checked, and changes without a retrace.

    **Returns:**

    The weighted bound, nats. For `beta >= 1` it lies below the evidence lower bound; for `beta < 1` it
    bounds nothing. Either way the number to report is `zoo.objectives.elbo`.

    **Raises:**

    `ValueError` if `beta` is negative, infinite or not a number.

    Higgins et al., 2017, [beta-VAE: learning basic visual concepts with a constrained variational
    framework](https://openreview.net/forum?id=Sy2fzU9gl), equation (4).
    """
    check_weight("beta_elbo", "beta", beta)
    return jnp.mean(draws.log_likelihood) - beta * divergence(draws)


def capacity_elbo(draws: Draws, *, gamma: Real, capacity: Real) -> Scalar:
    r"""The reconstruction term less gamma times the divergence's distance from a capacity C.

    $\frac{1}{k} \sum_i \log p(x \mid z_i) - \gamma \, \left| KL(q(z \mid x) \,\|\, p(z)) - C \right|$

    The paper raises C from zero during training: see `zoo.objectives.scheduled` and
    `zoo.objectives.linear_schedule`. The divergence is that of `zoo.objectives.beta_elbo`.

    **Arguments:**

    - `draws`: the k draws of one example.
    - `gamma`: how hard the divergence is held at the capacity, >= 0.
    - `capacity`: C, nats, >= 0.

    **Returns:**

    The objective, nats. For `capacity > 0` it can exceed $\log p(x)$: report `zoo.objectives.elbo`.

    **Raises:**

    `ValueError` if `gamma` or `capacity` is negative, infinite or not a number.

    Burgess et al., 2018, [Understanding disentangling in beta-VAE](https://arxiv.org/abs/1804.03599),
    equation (8).
    """
    check_weight("capacity_elbo", "gamma", gamma)
    check_weight("capacity_elbo", "capacity", capacity)
    return jnp.mean(draws.log_likelihood) - gamma * jnp.abs(divergence(draws) - capacity)


def free_bits(draws: Draws, *, nats: Real) -> Scalar:
    r"""The evidence lower bound in which the first nats of an example's divergence cost nothing more.

    $\frac{1}{k} \sum_i \log p(x \mid z_i) - \max\left(\lambda, KL(q(z \mid x) \,\|\, p(z))\right)$

    The paper takes the maximum for each of several groups of latents, of the divergence's mean over a
    batch. Here the group is all of z and the mean is over the example's own draws, so that the objective
    remains one of a single example. The divergence is that of `zoo.objectives.beta_elbo`.

    **Arguments:**

    - `draws`: the k draws of one example.
    - `nats`: $\lambda$, the divergence below which there is nothing to gain, nats, >= 0.

    **Returns:**

    The objective, nats: a bound on $\log p(x)$ that never lies above the evidence lower bound.

    **Raises:**

    `ValueError` if `nats` is negative, infinite or not a number.

    Kingma et al., 2016, [Improving variational inference with inverse autoregressive
    flow](https://arxiv.org/abs/1606.04934), appendix C.8.
    """
    check_weight("free_bits", "nats", nats)
    return jnp.mean(draws.log_likelihood) - jnp.maximum(divergence(draws), nats)
