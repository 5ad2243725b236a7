import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.nn import log_softmax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..spaces import OneHot
from ._prior import AbstractPrior


class AbstractCategoricalPrior(AbstractPrior):
    """Independent categorical variables; z is one-hot, `(variables, classes)`."""

    @property
    @abc.abstractmethod
    def log_probs(self) -> Float[Array, " variables classes"]:
        r"""$\log \pi_{vc}$, the log-probability of each class, nats."""

    @property
    def space(self) -> OneHot:
        """One-hot vectors."""
        return OneHot(*self.log_probs.shape)


class UniformCategorical(AbstractCategoricalPrior):
    r"""Independent categorical variables, all classes alike; z is one-hot, `(num_variables, num_classes)`.

    $$\log p(z) = -n \log K$$

    Jang, Gu & Poole, "Categorical reparameterization with Gumbel-softmax", 2017, section 4.2.
    """

    num_variables: int = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)

    def __init__(self, num_variables: int, num_classes: int):
        """**Arguments:** `num_variables`: n, at least 1; `num_classes`: K, at least 2.

        **Raises:** `ValueError` for sizes below these.
        """
        check_categorical_sizes("UniformCategorical", num_variables, num_classes)
        self.num_variables = num_variables
        self.num_classes = num_classes

    @property
    def log_probs(self) -> Float[Array, " variables classes"]:
        return jnp.full((self.num_variables, self.num_classes), -math.log(self.num_classes))

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " {self.num_variables} {self.num_classes}"]:
        return jax.nn.one_hot(jr.randint(key, (self.num_variables,), 0, self.num_classes), self.num_classes)

    def log_prob(self, z: Float[Array, " {self.num_variables} {self.num_classes}"]) -> Scalar:
        return jnp.full((), -self.num_variables * math.log(self.num_classes), z.dtype)


class Categorical(AbstractCategoricalPrior):
    r"""Independent categorical variables with learned probabilities; z is one-hot, `(num_variables, num_classes)`.

    $$\log p(z) = \sum_{vc} z_{vc} \log \pi_{vc}, \qquad \pi_v = \mathrm{softmax}(l_v)$$
    """

    logits: Float[Array, " variables classes"]

    def __init__(self, num_variables: int, num_classes: int):
        """**Arguments:** `num_variables`: at least 1; `num_classes`: at least 2. It starts uniform.

        **Raises:** `ValueError` for sizes below these.
        """
        check_categorical_sizes("Categorical", num_variables, num_classes)
        self.logits = jnp.zeros((num_variables, num_classes))

    @property
    def log_probs(self) -> Float[Array, " variables classes"]:
        return log_softmax(self.logits)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " variables classes"]:
        return jax.nn.one_hot(jr.categorical(key, self.logits), self.logits.shape[1], dtype=self.logits.dtype)

    def log_prob(self, z: Float[Array, " variables classes"]) -> Scalar:
        return categorical_log_prob(z, self.log_probs)


def categorical_log_prob(
    z: Float[Array, " variables classes"], log_probs: Float[Array, " variables classes"]
) -> Scalar:
    r"""$\sum_{vc} z_{vc} \log \pi_{vc}$, nats.

    **Arguments:** `z`: one-hot vectors; `log_probs`: $\log \pi$.
    """
    return jnp.sum(z * log_probs)


def check_categorical_sizes(call: str, num_variables: int, num_classes: int) -> None:
    """Refuse a categorical latent without variables or without a choice.

    **Arguments:** `call`: what the message names; `num_variables`, `num_classes`: as in `UniformCategorical`.

    **Raises:** `ValueError` for no variable and for fewer than two classes.
    """
    check_counts(call, num_variables=num_variables)
    check_counts(call, at_least=2, num_classes=num_classes)
