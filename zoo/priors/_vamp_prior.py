from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.nn import log_softmax, logsumexp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ..spaces import Space
from ._prior import AbstractBorrowingPrior, AbstractPrior


class VampPrior(AbstractBorrowingPrior):
    r"""A mixture of the model's own posteriors at learned pseudo-inputs.

    $$\log p(z) = \log \sum_c \pi_c\, q(z \mid u_c), \qquad \pi = \mathrm{softmax}(l)$$

    The encoder is differentiated in here as well: estimators hold a posterior fixed inside its own density,
    never inside the prior. While a network with `BatchNorm` trains, the pseudo-inputs are a batch of
    their own.

    Tomczak & Welling, "VAE with a VampPrior", 2018, equation 9, with learned weights.
    """

    logits: Float[Array, " components"]
    pseudo_inputs: Float[Array, " components ..."]

    def __init__(self, pseudo_inputs: Array | np.ndarray):
        """**Arguments:** `pseudo_inputs`: where they start, `(components, ...)`: what the model sees of some examples.
            The bytes of images (four axes) are pixels, divided by 255; other whole numbers are numbers.

        **Raises:** `ValueError` for no pseudo-inputs.
        """
        if pseudo_inputs.ndim < 2 or len(pseudo_inputs) == 0:
            raise ValueError(
                f"`VampPrior(pseudo_inputs)` needs shape (components, ...) with at least one component, got "
                f"{pseudo_inputs.shape}; pass some examples: xs[:64]"
            )
        # No pixels are all black or nearly so: bytes 0 and 1 are bits.
        pixels = pseudo_inputs.dtype == np.uint8 and pseudo_inputs.ndim == 4 and np.max(pseudo_inputs) > 1
        scale = 255.0 if pixels else 1.0
        self.pseudo_inputs = jnp.asarray(pseudo_inputs, jnp.result_type(float)) / scale
        self.logits = jnp.zeros(len(pseudo_inputs))

    def of(self, model: Any) -> AbstractPrior:
        if self.pseudo_inputs.shape[1:] != tuple(model.data_shape):
            raise ValueError(
                f"`VampPrior` has pseudo-inputs of shape {self.pseudo_inputs.shape[1:]}, but this model's data are "
                f"of shape {tuple(model.data_shape)}; make it of the model's own examples: VampPrior(xs[:64])"
            )
        posteriors = eqx.filter_vmap(model.posterior, axis_name="batch")(self.pseudo_inputs)
        if not posteriors.traits.has_density:
            raise ValueError(
                f"`VampPrior` mixes the densities of the model's posteriors, and a `{type(posteriors).__name__}` has "
                "none; use `priors.MixtureOfNormals`, or another posterior"
            )
        return MixtureOfPosteriors(self.logits, posteriors)


class MixtureOfPosteriors(AbstractPrior):
    """Distributions over z, stacked along a first axis of every leaf, with unnormalised log-weights."""

    logits: Float[Array, " components"]
    posteriors: Any

    @property
    def space(self) -> Space:
        """That of the distributions."""
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), self.posteriors).space

    def sample(self, *, key: PRNGKeyArray) -> PyTree[Float[Array, " ..."]]:
        component_key, sample_key = jr.split(key)
        component = jr.categorical(component_key, self.logits)
        chosen = jax.tree.map(lambda leaf: leaf[component], self.posteriors)
        return chosen.sample(key=sample_key)

    def log_prob(self, z: PyTree[Float[Array, " ..."]]) -> Scalar:
        log_components = eqx.filter_vmap(lambda posterior: posterior.log_prob(z))(self.posteriors)
        return logsumexp(log_softmax(self.logits) + log_components)
