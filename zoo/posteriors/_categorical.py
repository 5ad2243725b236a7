import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jax.nn import log_softmax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..priors import AbstractCategoricalPrior, AbstractPrior, categorical_log_prob
from ..spaces import OneHot
from ._posterior import AbstractPosterior, Traits


class Categorical(AbstractPosterior):
    r"""Independent categorical variables; z is one-hot, `(variables, classes)`.

    $$\log q(z) = \sum_{vc} z_{vc} \log \pi_{vc}, \qquad \pi_v = \mathrm{softmax}(l_v)$$

    A draw is exact, the class of the largest $l_{vc} + g_{vc}$ with Gumbel noise g, and so is every value made
    of it. Its derivative is that of $\mathrm{softmax}((l + g) / \tau)$ in its place: the straight-through
    estimator, which is biased, the less so the lower the temperature $\tau$, at the price of variance.

    Jang, Gu & Poole, "Categorical reparameterization with Gumbel-softmax", 2017, section 2.2; Maddison, Mnih &
    Teh, "The concrete distribution", 2017.
    """

    logits: Float[Array, " variables classes"]
    temperature: float = eqx.field(static=True)

    @property
    def traits(self) -> Traits:
        """Draws with a derivative, which is not that of their distribution."""
        return Traits(pathwise=False)

    @property
    def space(self) -> OneHot:
        """One-hot vectors."""
        return OneHot(*self.logits.shape[-2:])

    def __init__(self, logits: Float[Array, " variables classes"], temperature: float = 1.0):
        r"""**Arguments:** `logits`: unnormalised log-probabilities; `temperature`: $\tau > 0$."""
        self.logits = logits
        self.temperature = temperature

    @property
    def mean(self) -> Float[Array, " variables classes"]:
        r"""$\pi$."""
        return jax.nn.softmax(self.logits)

    def relaxed(self, *, key: PRNGKeyArray) -> tuple[Float[Array, " variables classes"], Int[Array, " variables"]]:
        r"""$\mathrm{softmax}((l + g) / \tau)$, and the class at which it is largest."""
        noisy = self.logits + jr.gumbel(key, self.logits.shape, self.logits.dtype)
        return jax.nn.softmax(noisy / self.temperature), jnp.argmax(noisy, axis=1)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " variables classes"]:
        soft, chosen = self.relaxed(key=key)
        # In this order the value is exactly 0 or 1.
        return jax.nn.one_hot(chosen, soft.shape[1], dtype=soft.dtype) + (soft - lax.stop_gradient(soft))

    def log_prob(self, z: Float[Array, " variables classes"]) -> Scalar:
        return categorical_log_prob(z, log_softmax(self.logits))

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        r"""$\sum_{vc} \pi_{vc} (\log \pi_{vc} - \log p_{vc})$, nats, against categorical priors."""
        if not isinstance(prior, AbstractCategoricalPrior):
            return None
        return jnp.sum(self.mean * (log_softmax(self.logits) - prior.log_probs))


class StraightThrough(eqx.Module):
    r"""The family of `Categorical`s: draws are one-hot, and gradients those of their relaxation.

    As the `family` of a `zoo.models.DiscreteVAE`. Jang, Gu & Poole, 2017, section 2.2.
    """

    num_classes: int = eqx.field(static=True)
    temperature: float = eqx.field(static=True)

    def __init__(self, num_classes: int, temperature: float = 1.0):
        r"""**Arguments:** `num_classes`: of each variable, at least 2; `temperature`: $\tau > 0$ of the relaxation.

        **Raises:** `ValueError` for others.
        """
        check_relaxation("StraightThrough", num_classes, temperature)
        self.num_classes = num_classes
        self.temperature = temperature

    def num_params(self, latent_size: int) -> int:
        """One logit for each class of each of `latent_size` variables."""
        check_counts("StraightThrough.num_params", latent_size=latent_size)
        return latent_size * self.num_classes

    def from_params(self, params: Float[Array, " params"]) -> Categorical:
        """The logits, variable by variable."""
        return Categorical(params.reshape(-1, self.num_classes), self.temperature)


def check_relaxation(call: str, num_classes: int, temperature: float) -> None:
    check_counts(call, at_least=2, num_classes=num_classes)
    if not 0 < temperature < float("inf"):
        raise ValueError(f"`{call}(temperature={temperature})`: pass a finite number above 0, such as 0.5")
