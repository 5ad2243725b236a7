import jax.numpy as jnp

from .._custom_types import Scalar
from .._draws import Draws


def reconstruction(draws: Draws) -> Scalar:
    r"""The mean log-likelihood of the draws, with no price on what they tell of x.

    $\frac{1}{k} \sum_i \log p(x \mid z_i)$

    It bounds nothing: a posterior that narrows costs nothing here. For deterministic autoencoders, whose
    posterior is `zoo.posteriors.Point`, with penalties that hold the latents together.

    **Arguments:**

    - `draws`: the k draws of one example; only their log-likelihoods matter.

    **Returns:**

    The mean log-likelihood, nats.

    Ghosh et al., 2020, [From variational to deterministic autoencoders](https://arxiv.org/abs/1903.12436),
    section 3, $-\mathcal L_{REC}$ there.
    """
    return jnp.mean(draws.log_likelihood)
