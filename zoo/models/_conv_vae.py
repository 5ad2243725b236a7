from collections.abc import Callable
from typing import Any

import jax.random as jr
from jaxtyping import PRNGKeyArray

from .. import likelihoods
from ..nn import convolutional
from ..posteriors import DiagonalNormal
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._network_vae import AbstractNetworkVAE
from ._vae import check_latent_size, parameter_shape


class ConvVAE(AbstractNetworkVAE):
    r"""A convolutional variational autoencoder of images.

    With w = `width_size`, encoder: two 3 x 3 convolutions to w channels, pool, two to 2w channels, pool,
    affine. Decoder: affine to 2w images of a quarter of the height and width, upsample, two convolutions
    to w channels, upsample, two to 2w, one to the likelihood's parameters. SELU throughout.

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
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        norm: str = "none",
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `image_shape`: `(channels, height, width)`; height and width divide by 4.
        - `latent_size`: dimensions of z.
        - `width_size`: channels at full height and width; at half of them it is twice as many.
        - `likelihood`: one of `zoo.likelihoods`; decides how many channels the decoder puts out.
        - `prior`: one of `zoo.priors`; `StandardNormal(latent_size)` unless given.
        - `posterior`: one of the families in `zoo.posteriors`; decides how many numbers the encoder puts out.
        - `norm`: after each convolution: `"none"`, `"group"`, or `"batch"` (then `zoo.freeze` before scoring).
        - `key`: for the initial weights.

        **Raises:** `ValueError` where a side does not divide by 4 or `latent_size` is below 1.
        """
        check_latent_size("ConvVAE", latent_size)
        encoder_key, decoder_key = jr.split(key)
        networks = convolutional(width_size=width_size, norm=norm)
        self.encoder = networks.encoder(image_shape, posterior.num_params(latent_size), key=encoder_key)
        self.decoder = networks.decoder(latent_size, parameter_shape(likelihood, image_shape), key=decoder_key)
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = likelihood
        self.family = posterior
        self.data_shape = image_shape
