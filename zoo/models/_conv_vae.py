from collections.abc import Callable
from typing import Any

import jax.random as jr
from jaxtyping import PRNGKeyArray

from .. import likelihoods
from ..nn import Networks, strided
from ..posteriors import DiagonalNormal
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._network_vae import AbstractNetworkVAE
from ._vae import check_latent_size, parameter_shape


class ConvVAE(AbstractNetworkVAE):
    r"""A convolutional variational autoencoder of images.

    With w = `width_size`, encoder: halve height and width, two 3 x 3 convolutions to w channels, halve, two
    to 2w, affine. Decoder: affine to 2w images of a quarter of the height and width, two convolutions,
    upsample, two to w channels, and one to the likelihood's parameters in 2 x 2 blocks. GELU throughout
    (`nn.variance_preserving_gelu`).

    These learn more in the same time than the networks of the reference notebook, which halve after the
    convolutions (`benchmarks/default_network.py`). Those are, with its layer sizes,

        ConvVAE((1, 28, 28), 8, build=zoo.nn.convolutional, norm="batch", key=key)

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014.
    """

    encoder: Callable
    decoder: Callable
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    family: Any
    data_shape: tuple[int, int, int]

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_size: int = 8,
        *,
        width_size: int = 32,
        norm: str = "none",
        build: Callable[..., Networks] = strided,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `image_shape`: `(channels, height, width)`; height and width divide by 4.
        - `latent_size`: dimensions of z.
        - `width_size`: channels of the networks' first stage; of its second twice as many.
        - `norm`: after each convolution: `"none"`, `"group"`, or `"batch"` (then `zoo.freeze` before scoring).
        - `build`: the networks that are built of `width_size` and `norm`: `zoo.nn.strided`, `zoo.nn.convolutional`.
        - `likelihood`: one of `zoo.likelihoods`; decides how many channels the decoder puts out.
        - `prior`: one of `zoo.priors`; `StandardNormal(latent_size)` unless given.
        - `posterior`: one of the families in `zoo.posteriors`; decides how many numbers the encoder puts out.
        - `key`: for the initial weights.

        **Raises:** `ValueError` where a side does not divide by 4 or `latent_size` is below 1.
        """
        check_latent_size("ConvVAE", latent_size)
        encoder_key, decoder_key = jr.split(key)
        networks = build(width_size=width_size, norm=norm)
        self.encoder = networks.encoder(image_shape, posterior.num_params(latent_size), key=encoder_key)
        self.decoder = networks.decoder(latent_size, parameter_shape(likelihood, image_shape), key=decoder_key)
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = likelihood
        self.family = posterior
        self.data_shape = image_shape
