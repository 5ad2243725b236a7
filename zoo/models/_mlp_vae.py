from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

from .. import likelihoods
from .._checks import check_counts
from ..likelihoods import Units
from ..nn import Networks, fully_connected, partitioned
from ..posteriors import DiagonalNormal, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._abstract_vae import check_parts, in_units
from ._network_vae import AbstractNetworkVAE, as_shape, build_networks, choose_networks


class MLPVAE(AbstractNetworkVAE):
    r"""A fully connected variational autoencoder of vectors, or of images taken as vectors.

    With `data_shape=784, latent_size=50, width_size=200, depth=2, activation=jax.nn.tanh` it is the
    one-layer network of Burda et al., "Importance Weighted Autoencoders", 2016, section 5.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014.
    """

    encoder: Callable = eqx.field(converter=partitioned)
    decoder: Callable = eqx.field(converter=partitioned)
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    family: Any = eqx.field(converter=as_family)
    data_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        data_shape: int | tuple[int, ...],
        latent_size: int = 2,
        *,
        width_size: int | None = None,
        depth: int | None = None,
        activation: Callable | None = None,
        networks: Networks | None = None,
        likelihood: Any = likelihoods.gaussian(),
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `data_shape`: the shape of one example, `2` or `(2,)` for a point in the plane, `(1, 28, 28)` for an
          image, which is flattened inside.
        - `latent_size`: dimensions of z.
        - `width_size`, `depth`, `activation`: hidden layers of the encoder and of the decoder; 200 units, 2 layers and
          `jax.nn.selu` unless given.
        - `networks`: others in place of `zoo.nn.fully_connected(width_size=..., depth=..., activation=...)`.
        - `likelihood`, `prior`, `posterior`, `key`: as in `ConvVAE`.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` where a size is below 1.
        """
        data_shape = as_shape(data_shape)
        check_counts("MLPVAE", data_shape=data_shape, latent_size=latent_size)
        options = dict(width_size=width_size, depth=depth, activation=activation)
        networks = choose_networks("MLPVAE", networks, fully_connected, **options)
        self.encoder, self.decoder = build_networks(
            networks, data_shape, latent_size, likelihood=likelihood, posterior=posterior, key=key
        )
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.family = posterior
        self.data_shape = data_shape
        check_parts(self)
