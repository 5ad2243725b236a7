from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from .._checks import check_counts
from ..nn import Linear, Sequential, zeroed
from ._condition import condition_of
from ._normal import Normal
from ._prior import AbstractBorrowingPrior


class ConditionalNormal(AbstractBorrowingPrior):
    r"""The prior of a `ConditionalVAE`: a normal whose means and scales a network makes of the label.

    $$p(z \mid y) = N(z;\ \mu(y), \mathrm{diag}\, \sigma^2(y))$$

    It starts at N(0, I) for every label. `network` maps the label's vector to means and log-scales and may
    be replaced, with `equinox.tree_at`.

    Sohn, Lee and Yan, "Learning Structured Output Representation using Deep Conditional Generative Models",
    2015, section 4.
    """

    network: Callable
    condition_size: int = eqx.field(static=True)
    latent_size: int = eqx.field(static=True)

    def __init__(self, condition_size: int, latent_size: int, *, width_size: int = 64, key: PRNGKeyArray):
        """**Arguments:** `condition_size`: the model's `num_classes` or `condition_size`; `latent_size`: dimensions of
        z; `width_size`: units of the network's one hidden layer.

        **Raises:** `ValueError` for sizes below 1.
        """
        check_counts("ConditionalNormal", condition_size=condition_size, latent_size=latent_size, width_size=width_size)
        hidden_key, last_key = jr.split(key)
        hidden = Linear(condition_size, width_size, key=hidden_key)
        last = zeroed(Linear(width_size, 2 * latent_size, key=last_key))
        self.network = Sequential((hidden, jax.nn.tanh, last))
        self.condition_size = condition_size
        self.latent_size = latent_size

    def of(self, model: Any) -> Normal:
        mean, log_scale = jnp.split(self.network(condition_of(self, model)), 2)
        return Normal(self.latent_size, mean=mean, log_scale=log_scale)
