from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

from .. import likelihoods
from .._checks import check_counts
from ..likelihoods import Units
from ..nn import Networks, partitioned, residual
from ..posteriors import DiagonalNormal, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._abstract_vae import check_parts, in_units
from ._network_vae import AbstractNetworkVAE, build_networks, choose_networks


class ResNetVAE(AbstractNetworkVAE):
    r"""A variational autoencoder of pictures and signals with residual networks, deeper than `ConvVAE` of the same
    width.

    The encoder halves height and width, with `depth` residual blocks after each halving and twice the
    channels, up to four times as many, until at most 7 points are left of a side: twice at 28 x 28, four times at
    64 x 64. The decoder mirrors it, by nearest-neighbour upsampling. No normalisation, so no `freeze`.

    He et al., "Identity mappings in deep residual networks", 2016; Kingma & Welling, "Auto-Encoding
    Variational Bayes", 2014.
    """

    encoder: Callable = eqx.field(converter=partitioned)
    decoder: Callable = eqx.field(converter=partitioned)
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    family: Any = eqx.field(converter=as_family)
    data_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        image_shape: tuple[int, ...] = (1, 28, 28),
        latent_size: int = 32,
        *,
        width_size: int | None = None,
        depth: int | None = None,
        networks: Networks | None = None,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `image_shape`: `(channels, height, width)` of a picture, or `(channels, length)` of a signal.
        - `width_size`: channels after the first halving, 32 unless given.
        - `depth`: residual blocks to a stage, 1 unless given.
        - `networks`: others in place of `zoo.nn.residual(width_size=..., depth=...)`.
        - `latent_size`, `likelihood`, `prior`, `posterior`, `key`: as in `ConvVAE`.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` for data that are neither pictures nor signals, and sizes below 1.
        """
        check_counts("ResNetVAE", latent_size=latent_size)
        networks = choose_networks("ResNetVAE", networks, residual, width_size=width_size, depth=depth)
        self.encoder, self.decoder = build_networks(
            networks, image_shape, latent_size, likelihood=likelihood, posterior=posterior, key=key
        )
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.family = posterior
        self.data_shape = image_shape
        check_parts(self)
