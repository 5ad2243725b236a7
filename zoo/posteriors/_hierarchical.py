from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ..priors import HierarchicalPrior
from ..spaces import Layers
from ._diagonal_normal import DiagonalNormal
from ._posterior import AbstractPosterior, Traits, as_family
from ._traced import AbstractTracedPosterior, draw_from


class BottomUpPosterior(AbstractTracedPosterior):
    r"""Layers of latents drawn from the data upwards.

    $$q(z \mid x) = q(z_1 \mid x) \prod_{l > 1} q(z_l \mid z_{l-1})$$

    z is a tuple, the layer next to the data first. `mean` is what is drawn where every layer takes its
    conditional mean; above the first layer that is not exactly E[z].

    **Fields:** `first`: q(z_1 | x); `links`: for each next layer a network from the latent below to the parameters of
    its `family`.

    Burda et al., "Importance Weighted Autoencoders", 2016, equation 3.
    """

    first: AbstractPosterior
    links: tuple[Callable, ...]
    family: Any = eqx.field(converter=as_family)

    @property
    def space(self) -> Layers:
        """That of each layer."""
        layers = [self.first]
        for layer in range(1, len(self.links) + 1):
            layers.append(eqx.filter_eval_shape(lambda below: self.above(layer, below.mean), layers[-1]))
        return Layers(tuple(layer.space for layer in layers))

    @property
    def traits(self) -> Traits:
        """Those of the family's distributions."""
        return self.first.traits

    def above(self, layer: int, below: Float[Array, " below"]) -> AbstractPosterior:
        """q(z_l | z_{l-1}), `layer` counted from 0 at the data."""
        return self.family.from_params(self.links[layer - 1](below))

    @property
    def mean(self) -> PyTree[Float[Array, " ..."]]:
        """What is drawn where every layer takes its conditional mean."""
        zs = [self.first.mean]
        for layer in range(1, len(self.links) + 1):
            zs.append(self.above(layer, zs[-1]).mean)
        return tuple(zs)

    def draw(self, *, key: PRNGKeyArray) -> tuple[tuple[Float[Array, " ..."], ...], Any]:
        first_key, *keys = jr.split(key, len(self.links) + 1)
        layers = [draw_from(self.first, key=first_key)]
        for layer, key in enumerate(keys, 1):
            layers.append(draw_from(self.above(layer, layers[-1][0]), key=key))
        zs, trails = zip(*layers, strict=True)
        return zs, None if trails[0] is None else trails

    def log_prob_along(self, z: tuple[Float[Array, " ..."], ...], trail: Any) -> Scalar:
        return jnp.sum(self.log_probs(z, trail))

    def trace_back(self, z: tuple[Float[Array, " ..."], ...], trail: Any) -> Any:
        return tuple(one.trace_back(*pair) for one, *pair in zip(self._each(z), z, trail, strict=True))

    def log_probs(self, z: tuple[Float[Array, " ..."], ...], trail: Any = None) -> Float[Array, " layers"]:
        """The log-density of each layer given the one below, nats; of a draw, by its trail where it has one."""
        if trail is None:
            return jnp.stack([one.log_prob(at) for one, at in zip(self._each(z), z, strict=True)])
        return jnp.stack([one.log_prob_along(*pair) for one, *pair in zip(self._each(z), z, trail, strict=True)])

    def _each(self, z: tuple[Float[Array, " ..."], ...]) -> list[Any]:
        return [self.first, *(self.above(layer, below) for layer, below in enumerate(z[:-1], 1))]

    def log_prob(self, z: tuple[Float[Array, " ..."], ...]) -> Scalar | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return jnp.sum(self.log_probs(z)) if self.traits.has_density else None

    def kl(self, prior: Any) -> None:
        return None


class TopDownPosterior(AbstractPosterior):
    r"""Layers of latents drawn from the top downwards, the data correcting the prior at each.

    $$q(z \mid x) = q(z_L \mid x) \prod_{l < L} q(z_l \mid z_{l+1}, x), \qquad
      q(z_l \mid z_{l+1}, x) \propto p(z_l \mid z_{l+1})\, N(z_l;\ m_l(x), \mathrm{diag}\, s_l^2(x))$$

    z is a tuple, the layer next to the data first. `mean` is what is drawn where every layer takes its
    conditional mean; below the top that is not exactly E[z].

    **Fields:** `evidence`: the normals $m_l, s_l$ of each layer, the data's end first; `prior`: that of the model.

    Sønderby et al., "Ladder Variational Autoencoders", 2016, equations 16 to 19.
    """

    evidence: tuple[DiagonalNormal, ...]
    prior: HierarchicalPrior

    @property
    def traits(self) -> Traits:
        """Pathwise draws of a density."""
        return Traits()

    @property
    def space(self) -> Layers:
        """That of each layer."""
        return Layers(tuple(normal.space for normal in self.evidence))

    def below(self, layer: int, above: Float[Array, " above"]) -> DiagonalNormal:
        """q(z_l | z_{l+1}, x), `layer` counted from 0 at the data."""
        data, prior = self.evidence[layer], self.prior.below(layer, above)
        log_precision = jnp.logaddexp(-2 * data.log_scale, -2 * prior.log_scale)
        of_data, of_prior = (jnp.exp(-2 * normal.log_scale - log_precision) for normal in (data, prior))
        return DiagonalNormal(of_data * data.mean + of_prior * prior.mean, -0.5 * log_precision)

    @property
    def mean(self) -> PyTree[Float[Array, " ..."]]:
        """What is drawn where every layer takes its conditional mean."""
        zs = (self.evidence[-1].mean,)
        for layer in reversed(range(len(self.evidence) - 1)):
            zs = (self.below(layer, zs[0]).mean, *zs)
        return zs

    def sample(self, *, key: PRNGKeyArray) -> tuple[Float[Array, " ..."], ...]:
        top_key, *keys = jr.split(key, len(self.evidence))
        zs = (self.evidence[-1].sample(key=top_key),)
        for layer, key in zip(reversed(range(len(self.evidence) - 1)), keys, strict=True):
            zs = (self.below(layer, zs[0]).sample(key=key), *zs)
        return zs

    def log_probs(self, z: tuple[Float[Array, " ..."], ...]) -> Float[Array, " layers"]:
        """The log-density of each layer given the one above, nats."""
        layers = [self.below(layer, z[layer + 1]).log_prob(z[layer]) for layer in range(len(z) - 1)]
        return jnp.stack([*layers, self.evidence[-1].log_prob(z[-1])])

    def log_prob(self, z: tuple[Float[Array, " ..."], ...]) -> Scalar:
        return jnp.sum(self.log_probs(z))

    def kl(self, prior: Any) -> None:
        return None
