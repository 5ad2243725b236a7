from collections.abc import Callable
from typing import Any

import jax
import jax.random as jr
from jaxtyping import PRNGKeyArray

from .. import likelihoods
from ..nn import fully_connected
from ..posteriors import DiagonalNormal
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._network_vae import AbstractNetworkVAE
from ._vae import check_latent_size, parameter_shape


class MLPVAE(AbstractNetworkVAE):
    r"""A fully connected variational autoencoder of vectors, or of images taken as vectors.

    With `data_shape=784, latent_size=50, width_size=200, depth=2, activation=jax.nn.tanh` it is the
    one-layer network of Burda et al., "Importance Weighted Autoencoders", 2016, section 5.

    Kingma & Welling, "Auto-Encoding Variational Bayes", 2014.
    """

    encoder: Callable
    decoder: Callable
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    family: Any
    data_shape: tuple[int, ...]

    def __init__(
        self,
        data_shape: int | tuple[int, ...],
        latent_size: int = 2,
        *,
        width_size: int = 200,
        depth: int = 2,
        activation: Callable = jax.nn.selu,
        likelihood: Any = likelihoods.gaussian(),
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `data_shape`: the shape of one example, `2` or `(2,)` for a point in the plane, `(1, 28, 28)` for an
          image, which is flattened inside.
        - `latent_size`: dimensions of z.
        - `width_size`, `depth`, `activation`: hidden layers of the encoder and of the decoder.
        - `likelihood`, `prior`, `posterior`, `key`: as in `ConvVAE`.

        **Raises:** `ValueError` where a size is below 1.
        """
        data_shape = (data_shape,) if isinstance(data_shape, int) else data_shape
        if not data_shape or min(data_shape) < 1:
            raise ValueError(f"`MLPVAE(data_shape={data_shape})`: every side must be at least 1")
        check_latent_size("MLPVAE", latent_size)
        encoder_key, decoder_key = jr.split(key)
        networks = fully_connected(width_size=width_size, depth=depth, activation=activation)
        self.encoder = networks.encoder(data_shape, posterior.num_params(latent_size), key=encoder_key)
        self.decoder = networks.decoder(latent_size, parameter_shape(likelihood, data_shape), key=decoder_key)
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = likelihood
        self.family = posterior
        self.data_shape = data_shape
