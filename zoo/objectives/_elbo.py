import jax.numpy as jnp

from .._custom_types import Scalar
from .._draws import Draws


def elbo(draws: Draws) -> Scalar:
    r"""The evidence lower bound, by Monte Carlo: the mean of the log-weights.

    $\frac{1}{k} \sum_i \left[ \log p(x \mid z_i) + \log p(z_i) - \log q(z_i \mid x) \right]$

    **Arguments:**

    - `draws`: the k draws of one example.

    **Returns:**

    The bound on $\log p(x)$, nats.

    Kingma and Welling, 2014, [Auto-encoding variational Bayes](https://arxiv.org/abs/1312.6114),
    equation (6).
    """
    return jnp.mean(draws.log_weight)


def elbo_kl(draws: Draws) -> Scalar:
    r"""The evidence lower bound with the Kullback-Leibler divergence in closed form.

    $\frac{1}{k} \sum_i \log p(x \mid z_i) - KL(q(z \mid x) \,\|\, p(z))$

    It has `zoo.objectives.elbo`'s mean. Which of the two varies less depends on the model: where q is
    close to the true posterior, the terms of `elbo` cancel draw by draw and these do not.

    **Arguments:**

    - `draws`: the k draws of one example, with `draws.kl`.

    **Returns:**

    The bound on $\log p(x)$, nats.

    **Raises:**

    `ValueError` if the posterior and prior have no divergence in closed form.

    Kingma and Welling, 2014, [Auto-encoding variational Bayes](https://arxiv.org/abs/1312.6114),
    equation (7).
    """
    if draws.kl is None:
        posterior = type(draws.posterior).__name__ if draws.posterior is not None else "unknown"
        raise ValueError(
            f"`elbo_kl(draws)` needs `draws.kl`, which is None: the pair of posterior `{posterior}` and this "
            "model's prior has no closed-form KL; use `objectives.elbo`, which estimates it from the draws"
        )
    return jnp.mean(draws.log_likelihood) - draws.kl
