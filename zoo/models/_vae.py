from collections.abc import Callable
from typing import Any

import equinox as eqx

from .. import likelihoods
from .._checks import check_counts
from ..likelihoods import Units
from ..nn import partitioned
from ..posteriors import DiagonalNormal, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._abstract_vae import check_parts, in_units
from ._network_vae import AbstractNetworkVAE, as_shape, check_encoder


class VAE(AbstractNetworkVAE):
    r"""A variational autoencoder of two networks of your own.

    ```python
    encoder_key, decoder_key = jax.random.split(key)
    encoder = equinox.nn.MLP(30, 2 * 8, width_size=64, depth=2, key=encoder_key)
    decoder = equinox.nn.MLP(8, 2 * 30, width_size=64, depth=2, key=decoder_key)
    model = zoo.VAE(encoder, decoder, data_shape=30, latent_size=8, likelihood=likelihoods.gaussian_learned)
    ```

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
        encoder: Callable,
        decoder: Callable,
        *,
        data_shape: int | tuple[int, ...],
        latent_size: int,
        likelihood: Any = likelihoods.gaussian(),
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        units: Units | None = None,
    ):
        """**Arguments:**

        - `encoder`: any callable module, from one example, an array of `data_shape`, to a vector of
          `posterior.num_params(latent_size)` numbers: for `DiagonalNormal` means, then log-scales. One that needs
          randomness, for dropout, goes into `zoo.nn.Stochastic`.
        - `decoder`: any callable module, from one z, an array `(latent_size,)`, to the likelihood's parameters: an
          array of `data_shape` with `likelihood.channels` times as many entries along the first axis.
        - `data_shape`: of one example, `30` or `(30,)` for a vector, `(channels, height, width)` for an image.
        - `latent_size`: dimensions of z.
        - `likelihood`: one of `zoo.likelihoods`.
        - `prior`: one of `zoo.priors`; `StandardNormal(latent_size)` unless given.
        - `posterior`: one of the families in `zoo.posteriors`.
        - `units`: `zoo.data.units(xs)` of your data: the encoder then sees them standardised, and zeros of the decoder
          are the data's independent marginals. Densities and samples stay in the data's own units.

        **Raises:** `ValueError` where what the networks take or give has another shape than these, and where the prior
        and the posterior live in different spaces.
        """
        check_counts("VAE", latent_size=latent_size)
        data_shape = as_shape(data_shape)
        check_encoder("VAE", encoder, data_shape, posterior, latent_size)
        self.encoder = encoder
        self.decoder = decoder
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.family = posterior
        self.data_shape = data_shape
        check_parts(self)
