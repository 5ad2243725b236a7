from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..spaces import Euclidean, Layers
from ._normal import Normal
from ._prior import AbstractPrior


class HierarchicalPrior(AbstractPrior):
    r"""Layers of latents, each normal given the one above: what a `HierarchicalVAE` draws from.

    $$p(z) = p(z_L) \prod_{l < L} N(z_l;\ \mu_l(z_{l+1}), \mathrm{diag}\, \sigma_l^2(z_{l+1}))$$

    z is a tuple, the layer next to the data first.

    **Fields:** `top`: the prior of the highest layer; `links`: from each layer to the one below, lowest first,
    `(latent,) -> (2 latent below,)`, means and log-scales.
    """

    top: AbstractPrior
    links: tuple[Callable, ...]

    def below(self, layer: int, above: Float[Array, " above"]) -> Normal:
        """p(z_l | z_{l+1}), `layer` counted from 0 at the data."""
        mean, log_scale = jnp.split(self.links[layer](above), 2)
        return Normal(mean.size, mean=mean, log_scale=log_scale)

    @property
    def space(self) -> Layers:
        """That of each layer."""
        zs = eqx.filter_eval_shape(lambda prior: prior.sample(key=jr.key(0)), self)
        below = (Euclidean(z.shape[-1]) for z in zs[:-1])  # each layer but the top is normal
        return Layers((*below, self.top.space))

    def sample(self, *, key: PRNGKeyArray) -> tuple[Float[Array, " ..."], ...]:
        top_key, *keys = jr.split(key, len(self.links) + 1)
        zs = (self.top.sample(key=top_key),)
        for layer, key in zip(reversed(range(len(self.links))), keys, strict=True):
            zs = (self.below(layer, zs[0]).sample(key=key), *zs)
        return zs

    def log_probs(self, z: tuple[Float[Array, " ..."], ...]) -> Float[Array, " layers"]:
        """The log-density of each layer given the one above, nats."""
        links = [self.below(layer, z[layer + 1]).log_prob(z[layer]) for layer in range(len(self.links))]
        return jnp.stack([*links, self.top.log_prob(z[-1])])

    def log_prob(self, z: tuple[Float[Array, " ..."], ...]) -> Scalar:
        return jnp.sum(self.log_probs(z))
