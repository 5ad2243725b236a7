from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ._condition import condition_of
from ._mixture_of_normals import MixtureOfNormals
from ._prior import AbstractBorrowingPrior


class ConditionalMixture(AbstractBorrowingPrior):
    r"""The prior of a `ConditionalVAE`: a mixture of normals whose shares depend on the label.

    $$p(z \mid y) = \sum_c \pi_c(y) \prod_j N(z_j;\ \mu_{cj},\ \sigma_{cj}^2), \qquad
      \pi(y) = \mathrm{softmax}(l + y W)$$

    The normals are the same for all labels, so that what labels share is learned once. It starts with the same
    shares for each label, as a `MixtureOfNormals`.

    Wang, Schwing and Lazebnik, "Diverse and accurate image description using a variational auto-encoder with an
    additive Gaussian encoding space", 2017 (GMM-CVAE).
    """

    weight: Float[Array, " condition components"]
    mixture: MixtureOfNormals
    condition_size: int = eqx.field(static=True)

    def __init__(
        self, condition_size: int, latent_size: int, components: int = 64, *, spread: float = 1.0, key: PRNGKeyArray
    ):
        """**Arguments:** `condition_size`: the model's `num_classes` or `condition_size`; `latent_size`, `components`,
        `spread`: as in `MixtureOfNormals`.

        **Raises:** `ValueError` for sizes below 1.
        """
        check_counts("ConditionalMixture", condition_size=condition_size)
        self.mixture = MixtureOfNormals(latent_size, components, spread=spread, key=key)
        self.weight = jnp.zeros((condition_size, components))
        self.condition_size = condition_size

    def of(self, model: Any) -> MixtureOfNormals:
        logits = self.mixture.logits + condition_of(self, model) @ self.weight
        return eqx.tree_at(lambda mixture: mixture.logits, self.mixture, logits)
