import equinox as eqx
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..priors import AbstractPrior
from ..spaces import OneHot
from ._categorical import Categorical, StraightThrough, check_relaxation
from ._posterior import AbstractPosterior, Traits


class RelaxedCategorical(AbstractPosterior):
    r"""Categorical variables whose draws are relaxed to points inside the simplex, in training alone.

    $$z_v = \mathrm{softmax}((l_v + g_v) / \tau), \qquad g_{vc} \sim \mathrm{Gumbel}(0, 1)$$

    `log_prob` is that of the `Categorical` it relaxes, continued linearly from the corners of the simplex: no
    density of z, so what an objective makes of it bounds nothing (only its `kl` is exact). Draws exist
    therefore only where training maps over a batch, and `zoo.freeze` puts the exact `Categorical` in its place.

    Jang, Gu & Poole, "Categorical reparameterization with Gumbel-softmax", 2017, equation 2 and section 3.1.
    """

    exact: Categorical

    @property
    def traits(self) -> Traits:
        """Draws with a derivative, which is not that of their distribution."""
        return Traits(pathwise=False)

    @property
    def space(self) -> OneHot:
        """That of the exact variables."""
        return self.exact.space

    def __init__(self, exact: Categorical):
        """**Arguments:** `exact`: the variables that are relaxed, with the temperature."""
        self.exact = exact

    @property
    def mean(self) -> Float[Array, " variables classes"]:
        r"""$\pi$, the mean of the exact variables."""
        return self.exact.mean

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " variables classes"]:
        try:
            lax.axis_index("batch")
        except NameError as error:
            raise ValueError(
                "draws of `RelaxedCategorical` are for training alone, and bound no likelihood; to score, sample or "
                "plot, call `model = zoo.freeze(model, xs, key=key)` first"
            ) from error
        return self.exact.relaxed(key=key)[0]

    def log_prob(self, z: Float[Array, " variables classes"]) -> Scalar:
        return self.exact.log_prob(z)

    def kl(self, prior: AbstractPrior) -> Scalar | None:
        """That of the exact variables."""
        return self.exact.kl(prior)


class GumbelSoftmax(eqx.Module):
    r"""The family of `RelaxedCategorical`s: the model is trained on relaxed draws, and frozen to exact ones.

    As the `family` of a `zoo.models.DiscreteVAE`. The lower the temperature, the smaller the step from
    training to scoring, and the larger the gradient's variance. Jang, Gu & Poole, 2017, section 3.1.
    """

    num_classes: int = eqx.field(static=True)
    temperature: float = eqx.field(static=True)

    def __init__(self, num_classes: int, temperature: float = 1.0):
        r"""**Arguments:** `num_classes`: of each variable, at least 2; `temperature`: $\tau > 0$ of the relaxation.

        **Raises:** `ValueError` for others.
        """
        check_relaxation("GumbelSoftmax", num_classes, temperature)
        self.num_classes = num_classes
        self.temperature = temperature

    def num_params(self, latent_size: int) -> int:
        """One logit for each class of each of `latent_size` variables."""
        check_counts("GumbelSoftmax.num_params", latent_size=latent_size)
        return latent_size * self.num_classes

    def from_params(self, params: Float[Array, " params"]) -> RelaxedCategorical:
        """The logits, variable by variable."""
        return RelaxedCategorical(self.frozen().from_params(params))

    def frozen(self) -> StraightThrough:
        """The family of the exact variables, which `zoo.freeze` puts in this one's place."""
        return StraightThrough(self.num_classes, self.temperature)
