from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import PRNGKeyArray

from .. import likelihoods
from .._checks import check_counts
from ..likelihoods import Units
from ..nn import Networks, partitioned, strided
from ..posteriors import DiagonalNormal, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._abstract_vae import check_parts, in_units
from ._network_vae import AbstractNetworkVAE, build_networks, choose_networks


class ConvVAE(AbstractNetworkVAE):
    r"""A convolutional variational autoencoder of pictures and signals of any size.

    With w = `width_size`, encoder: halve height and width, two 3 x 3 convolutions to w channels, halve, two
    to 2w, affine. Decoder: affine to 2w images of a quarter of the height and width, two convolutions,
    upsample, two to w channels, and one to the likelihood's parameters in 2 x 2 blocks. GELU throughout
    (`nn.variance_preserving_gelu`). Where a side is longer than 32 there are more such stages, of up to 4w channels,
    until at most 8 points are left of it.

    These learn more in the same time than the networks of the reference notebook, which halve after the
    convolutions (`benchmarks/default_network.py`). Those are, with its layer sizes,

        ConvVAE((1, 28, 28), 8, networks=zoo.nn.convolutional(norm="batch"), key=key)

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
        image_shape: tuple[int, ...] = (1, 28, 28),
        latent_size: int = 8,
        *,
        width_size: int | None = None,
        depth: int | None = None,
        norm: str | None = None,
        networks: Networks | None = None,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `image_shape`: `(channels, height, width)` of a picture, or `(channels, length)` of a signal.
        - `latent_size`: dimensions of z.
        - `width_size`: channels of the networks' first stage, 32 unless given; of its second twice as many.
        - `depth`: how often sides are halved, chosen by their length unless given.
        - `norm`: after each convolution: `"none"`, `"group"`, or `"batch"` (then `zoo.freeze` before scoring).
        - `networks`: others in place of `zoo.nn.strided(width_size=..., depth=..., norm=...)`, such as
          `zoo.nn.convolutional()`.
        - `likelihood`: one of `zoo.likelihoods`; decides how many channels the decoder puts out.
        - `prior`: one of `zoo.priors`; `StandardNormal(latent_size)` unless given.
        - `posterior`: one of the families in `zoo.posteriors`; decides how many numbers the encoder puts out.
        - `key`: for the initial weights.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` for data that are neither pictures nor signals, sizes below 1, a `depth` of more
        halvings than leave a single point, where `networks` come with a `width_size`, `depth` or `norm` beside them,
        and where the prior and the posterior live in different spaces.
        """
        check_counts("ConvVAE", latent_size=latent_size)
        networks = choose_networks("ConvVAE", networks, strided, width_size=width_size, depth=depth, norm=norm)
        self.encoder, self.decoder = build_networks(
            networks, image_shape, latent_size, likelihood=likelihood, posterior=posterior, key=key
        )
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.family = posterior
        self.data_shape = image_shape
        check_parts(self)
