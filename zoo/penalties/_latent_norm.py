import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import latents


def latent_norm(draws: Draws, *, weight: Real = 1.0, key: PRNGKeyArray | None = None) -> Scalar:
    r"""Half the mean squared length of the latents, which keeps a deterministic autoencoder's from drifting apart.

    $\frac{\lambda}{2} \, E \|z\|^2$

    **Arguments:**

    - `draws`: the draws of a batch, of latents that are one array.
    - `weight`: $\lambda$, the paper's $\beta$.
    - `key`: not used.

    **Returns:**

    The penalty.

    **Raises:**

    `ValueError` for a batch of one or a negative weight.

    Ghosh et al., 2020, [From variational to deterministic autoencoders](https://arxiv.org/abs/1903.12436),
    section 3.
    """
    check_weight("latent_norm", "weight", weight)
    return 0.5 * weight * jnp.mean(jnp.sum(latents("latent_norm", draws) ** 2, axis=-1))
