from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .. import likelihoods
from .._checks import check_counts
from ..likelihoods import Units
from ..nn import MLP, Linear, Networks, networks_for, partitioned, zeroed
from ..posteriors import AbstractPosterior, BottomUpPosterior, DiagonalNormal, TopDownPosterior, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, HierarchicalPrior, StandardNormal
from ..spaces import Euclidean
from ._abstract_vae import AbstractVAE, check_parts, in_units, parameter_shape
from ._network_vae import as_shape


def _link(a: int, b: int, hidden: dict[str, Any], *, key: PRNGKeyArray) -> MLP:
    """A network from one layer's latents to another's parameters, at first zeros: a standard normal.

    At the usual initial weights the log-scales of one layer blow up the next.
    """
    network = MLP((a,), (b,), **hidden, key=key)
    return eqx.tree_at(lambda m: m.layers.layers[-1], network, replace_fn=zeroed)


class Quiet(eqx.Module):
    """A network with its output scaled, at first by a tenth: what it describes starts near a standard normal."""

    network: Callable = eqx.field(converter=partitioned)
    gain: Float[Array, ""]

    def __call__(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        return self.gain * self.network(x)


class BottomUp(eqx.Module):
    """Recognition from the data upwards: a network to the first layer, then a network to each next one.

    **Arguments:** `HierarchicalVAE(inference=)` calls it with its own `data_shape`, `latent_sizes` and `networks`; with
    `hidden`, the `width_size`, `depth` and `activation` of the networks between layers; and with `family`, the
    posterior's at each layer.
    """

    encoder: Callable
    links: tuple[Callable, ...]
    family: Any = eqx.field(converter=as_family)

    def __init__(
        self,
        data_shape: tuple[int, ...],
        latent_sizes: tuple[int, ...],
        *,
        networks: Networks,
        hidden: dict[str, Any],
        family: Any = DiagonalNormal,
        key: PRNGKeyArray,
    ):
        encoder_key, *keys = jr.split(key, len(latent_sizes))
        encoder = networks.encoder(data_shape, family.num_params(latent_sizes[0]), key=encoder_key)
        self.encoder = Quiet(encoder, jnp.array(0.1))
        pairs = zip(latent_sizes[:-1], latent_sizes[1:], keys, strict=True)
        self.links = tuple(_link(a, family.num_params(b), hidden, key=key) for a, b, key in pairs)
        self.family = family

    def __call__(self, x: Float[Array, " ..."], prior: HierarchicalPrior) -> AbstractPosterior:
        first = self.family.from_params(self.encoder(x))
        return BottomUpPosterior(first, self.links, self.family)  # pyright: ignore[reportCallIssue]


class TopDown(eqx.Module):
    """Recognition from the top downwards: features of the data at each layer correct the prior there.

    **Arguments:** as in `BottomUp`; `family` must be `posteriors.DiagonalNormal`.

    **Raises:** `ValueError` for another family.
    """

    encoder: Callable = eqx.field(converter=partitioned)
    steps: tuple[Callable, ...]
    heads: tuple[Callable, ...]
    activation: Callable = eqx.field(converter=partitioned)

    def __init__(
        self,
        data_shape: tuple[int, ...],
        latent_sizes: tuple[int, ...],
        *,
        networks: Networks,
        hidden: dict[str, Any],
        family: Any = DiagonalNormal,
        key: PRNGKeyArray,
    ):
        if family is not DiagonalNormal:
            raise ValueError(
                "`TopDown` multiplies normal densities: it takes `posterior=posteriors.DiagonalNormal` only; "
                "use `inference=models.BottomUp` for other families"
            )
        width = hidden["width_size"]
        encoder_key, steps_key, heads_key = jr.split(key, 3)
        self.encoder = networks.encoder(data_shape, width, key=encoder_key)
        steps_keys = jr.split(steps_key, len(latent_sizes) - 1)
        self.steps = tuple(MLP((width,), (width,), **hidden, key=key) for key in steps_keys)
        heads_keys = jr.split(heads_key, len(latent_sizes))
        self.heads = tuple(
            zeroed(Linear(width, 2 * n, key=key)) for n, key in zip(latent_sizes, heads_keys, strict=True)
        )
        self.activation = hidden["activation"]

    def __call__(self, x: Float[Array, " ..."], prior: HierarchicalPrior) -> AbstractPosterior:
        features = [self.activation(self.encoder(x))]
        for step in self.steps:
            features.append(self.activation(step(features[-1])))
        evidence = [DiagonalNormal.from_params(head(f)) for head, f in zip(self.heads, features, strict=True)]
        return TopDownPosterior(tuple(evidence), prior)  # pyright: ignore[reportCallIssue]


class HierarchicalVAE(AbstractVAE):
    r"""A variational autoencoder with L >= 2 layers of latents, each normal given the one above.

    $$p(x, z) = p(x \mid z_1)\, p(z_1 \mid z_2) \cdots p(z_{L-1} \mid z_L)\, p(z_L)$$

    z is a tuple, the layer next to the data first. `latent_sizes=(100, 50), width_size=200,
    activation=jax.nn.tanh` is the two-layer network of the IWAE paper, section 5, but for its narrower
    upper networks.

    Burda et al., "Importance Weighted Autoencoders", 2016 (`BottomUp`); Sønderby et al., "Ladder
    Variational Autoencoders", 2016 (`TopDown`).
    """

    inference: Callable
    decoder: Callable = eqx.field(converter=partitioned)
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    data_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        data_shape: int | tuple[int, ...] = (1, 28, 28),
        latent_sizes: tuple[int, ...] = (32, 8),
        *,
        inference: Callable = BottomUp,
        networks: Networks | None = None,
        width_size: int = 200,
        depth: int = 1,
        activation: Callable = jax.nn.selu,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `data_shape`: the shape of one example, `(channels, height, width)`, `(channels, length)` or `(size,)`.
        - `latent_sizes`: dimensions of each layer, next to the data first.
        - `inference`: `BottomUp` or `TopDown`.
        - `networks`: between the data and the first layer: `zoo.nn.strided(...)`,
          `zoo.nn.fully_connected(...)`, ...; unless given, the first for images and the second for vectors.
        - `width_size`, `depth`, `activation`: hidden layers of the networks between latents.
        - `prior`: of the highest layer; `StandardNormal(latent_sizes[-1])` unless given.
        - `posterior`: the family of every layer's posterior, for `BottomUp`.
        - `likelihood`, `key`: as in `ConvVAE`.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` for fewer than two layers, sizes below 1, a prior of another
        size than the highest layer's, and one that borrows from the model.
        """
        data_shape = as_shape(data_shape)
        if len(latent_sizes) < 2 or min(latent_sizes) < 1:
            raise ValueError(
                f"`HierarchicalVAE(latent_sizes={latent_sizes})`: at least two layers of at least one dimension are "
                "needed; for one layer use `ConvVAE` or `MLPVAE`"
            )
        check_counts("HierarchicalVAE", width_size=width_size)
        check_counts("HierarchicalVAE", at_least=0, depth=depth)
        if isinstance(prior, AbstractBorrowingPrior):
            raise ValueError(
                f"`HierarchicalVAE(prior={type(prior).__name__}(...))`: the highest layer's prior cannot borrow from "
                "the model; pass `StandardNormal`, `MixtureOfNormals`, `FlowPrior` or another density of its own"
            )
        top = StandardNormal(latent_sizes[-1]) if prior is None else prior
        if top.space != Euclidean(latent_sizes[-1]):
            raise ValueError(
                f"`HierarchicalVAE(latent_sizes={latent_sizes}, prior={type(top).__name__}(...))`: the prior is "
                f"that of the highest layer, which lives in {Euclidean(latent_sizes[-1])}; z of this one lives in "
                f"{top.space}; pass `StandardNormal({latent_sizes[-1]})`, or another prior of that space"
            )
        networks = networks_for(data_shape) if networks is None else networks
        hidden: dict[str, Any] = dict(width_size=width_size, depth=depth, activation=activation)
        inference_key, decoder_key, *keys = jr.split(key, len(latent_sizes) + 1)
        self.inference = inference(
            data_shape, latent_sizes, networks=networks, hidden=hidden, family=posterior, key=inference_key
        )
        self.decoder = networks.decoder(latent_sizes[0], parameter_shape(likelihood, data_shape), key=decoder_key)
        pairs = zip(latent_sizes[1:], latent_sizes[:-1], keys, strict=True)
        links = tuple(_link(a, 2 * b, hidden, key=key) for a, b, key in pairs)
        self.prior = HierarchicalPrior(top, links)
        self.likelihood = in_units(likelihood, units)
        self.data_shape = data_shape
        check_parts(self)

    def posterior(self, x: Float[Array, " ..."]) -> AbstractPosterior:
        return self.inference(self.features(x), self.prior)

    def decode(self, z: tuple[Float[Array, " ..."], ...]) -> Float[Array, " ..."]:
        return self.decoder(z[0])
