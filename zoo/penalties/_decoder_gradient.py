import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, PRNGKeyArray

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import latents


class AbstractBorrowingPenalty(eqx.Module):
    """A penalty that needs more than draws: something of the model that made them, such as its decoder."""

    @abc.abstractmethod
    def of(self, model: Any, ys: Array | None) -> Callable:
        """The penalty `(draws, *, key) -> scalar` of this model; `ys`: the labels of the batch, or `None`."""

    def __call__(self, draws: Draws, *, key: PRNGKeyArray) -> Scalar:
        raise ValueError(
            f"`penalties.{type(self).__name__}` needs the model, and draws have none; pass it to `fit` or `loss` as it "
            "is, or call `.of(model, ys)`"
        )


class DecoderGradient(AbstractBorrowingPenalty):
    r"""The mean squared gradient of what z decodes to, which keeps a deterministic autoencoder's decoder smooth.

    $$\lambda \, E \left\| \frac{\partial \, E[x \mid z]}{\partial z} \right\|_F^2
      = \lambda \, E_z E_v \left\| v^\top \frac{\partial \, E[x \mid z]}{\partial z} \right\|^2$$

    with one v of random signs for each draw, an unbiased estimate at the cost of one more way back through the decoder.

    **Fields:** `weight`: $\lambda \geq 0$.

    **Raises:** `ValueError` for a negative weight, random draws, a batch of one and latents without gradients, such as
    codes.

    Ghosh et al., 2020, [From variational to deterministic autoencoders](https://arxiv.org/abs/1903.12436), section 3.1
    (RAE-GP); Hutchinson, "A stochastic estimator of the trace", 1990, for the estimate.
    """

    weight: Real = 1.0

    def __check_init__(self):
        check_weight("DecoderGradient", "weight", self.weight)

    def of(self, model: Any, ys: Array | None) -> Callable:
        def one(y: Any, z: Array, key: PRNGKeyArray) -> Scalar:
            here = model if y is None else model.given(y)
            mean, pull = jax.vjp(lambda z: model.likelihood.mean(here.decode(z)), z)
            return jnp.sum(pull(jr.rademacher(key, mean.shape, mean.dtype))[0] ** 2)

        def penalty(draws: Draws, *, key: PRNGKeyArray) -> Scalar:
            if draws.log_posterior is not None:
                raise ValueError(
                    "`penalties.DecoderGradient` keeps the decoder of a deterministic autoencoder smooth, but these "
                    "draws are random; pass `posterior=posteriors.Point`, or leave it out"
                )
            if not jnp.issubdtype(latents("DecoderGradient", draws).dtype, jnp.floating):
                raise ValueError(
                    f"`penalties.DecoderGradient` needs latents with gradients, got dtype {draws.z.dtype}; leave it out"
                )
            keys = jr.split(key, draws.log_likelihood.shape)
            of_draws = jax.vmap(one, in_axes=(None, 0, 0), axis_name="k")
            return self.weight * jnp.mean(jax.vmap(of_draws, axis_name="batch")(ys, draws.z, keys))

        return penalty
