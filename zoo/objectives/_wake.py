import dataclasses

import jax
import jax.numpy as jnp

from .._custom_types import Scalar
from .._draws import Draws
from ._iwae import iwae


def wake_theta(draws: Draws) -> Scalar:
    r"""Reweighted wake-sleep's wake phase for the generative model.

    Its value is `zoo.objectives.iwae`; its gradient, z held fixed, is that of the model alone:

    $\sum_i \bar w_i \nabla_\theta \left[ \log p(x \mid z_i) + \log p(z_i) \right]$
    with $\bar w_i = w_i / \sum_j w_j$

    To train both networks in one step, maximise the mean of this and `zoo.objectives.wake_phi`: neither
    moves what the other does. No draw is differentiated, so any posterior will do: see
    `zoo.estimators.detached`.

    **Arguments:**

    - `draws`: the k draws of one example.

    **Returns:**

    The bound on $\log p(x)$, nats.

    Bornschein and Bengio, 2015, [Reweighted wake-sleep](https://arxiv.org/abs/1406.2751),
    section 2.
    """
    fixed = draws.fixed()
    return iwae(dataclasses.replace(fixed, log_posterior=jax.lax.stop_gradient(fixed.log_posterior)))


def wake_phi(draws: Draws) -> Scalar:
    r"""Reweighted wake-sleep's wake phase for the posterior: it learns to cover p(z | x).

    Its value is `zoo.objectives.iwae`; its gradient, z held fixed, is minus the self-normalised estimate of
    that of $KL(p(z \mid x) \,\|\, q(z \mid x))$, which has no value that could be computed:

    $\sum_i \bar w_i \nabla_\phi \log q_\phi(z_i \mid x)$ with $\bar w_i = w_i / \sum_j w_j$

    **Arguments:**

    - `draws`: the k draws of one example.

    **Returns:**

    The bound on $\log p(x)$, nats: what is maximised is something else, so differences of values
    do not check this gradient.

    Bornschein and Bengio, 2015, [Reweighted wake-sleep](https://arxiv.org/abs/1406.2751),
    section 2, the wake phase update of q.
    """
    fixed = draws.fixed()
    constant = dataclasses.replace(
        fixed,
        log_likelihood=jax.lax.stop_gradient(fixed.log_likelihood),
        log_prior=jax.lax.stop_gradient(fixed.log_prior),
        log_posterior=jax.lax.stop_gradient(fixed.log_posterior),
    )
    weight = jax.nn.softmax(constant.log_weight)
    moving = dataclasses.replace(constant, log_posterior=fixed.log_posterior)
    # A draw of no weight adds nothing: its log-weight may be minus infinity, and the difference no number.
    terms = jnp.where(weight > 0, weight * (constant.log_weight - moving.log_weight), 0)
    return iwae(constant) + jnp.sum(terms)
