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
from ..nn import Networks, grid, partitioned, unit
from ..posteriors import Quantised
from ..priors import AbstractBorrowingPrior, AbstractPrior, Code, UniformCodes
from ._abstract_vae import AbstractVAE, check_parts, in_units, parameter_shape
from ._network_vae import choose_networks


class VQVAE(AbstractVAE):
    r"""A vector-quantised autoencoder of pictures and signals: z is a grid of codes, vectors of a learned codebook.

    $$\log p(x) \geq \log p(x \mid z(x)) + \log p(z(x)), \qquad z_i(x) = \arg\min_j \|e_i(x) - c_j\|^2$$

    All mass of q(z | x) is on one grid of codes, so the values of the objectives are honest bounds, the same
    for every number of draws k. The reconstruction trains encoder and decoder; the codebook, and how closely
    the encoder keeps to it, are trained by a penalty, which has to be there:

    ```python
    result = zoo.fit(model, xs, penalties=[penalties.commitment], key=key)
    prior = priors.Autoregressive((7, 7), 512, key=key)
    model = zoo.fit_prior(result.model, xs, prior=prior, key=key)
    images = zoo.sample(model, 16, key=key)
    ```

    Under the uniform prior the codes cost $n \log K$ nats; a prior that is fitted afterwards costs less, and
    without one samples are noise. `zoo.evaluate.code_usage` tells how many of the codes are in use.

    Van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", 2017.
    """

    encoder: Callable = eqx.field(converter=partitioned)
    decoder: Callable = eqx.field(converter=partitioned)
    codebook: Float[Array, " codes size"]
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    data_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        image_shape: tuple[int, ...] = (1, 28, 28),
        *,
        codebook_size: int = 512,
        code_size: int = 64,
        width_size: int | None = None,
        depth: int | None = None,
        networks: Networks | None = None,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `image_shape`: `(channels, height, width)` of a picture, or `(channels, length)` of a signal.
        - `codebook_size`: K, how many codes there are, at least 2.
        - `code_size`: dimensions of a code's vector, at least 1.
        - `width_size`: channels of each network's first stage, 32 unless given; of its second twice as many.
        - `depth`: how often sides are halved, chosen by their length unless given. The grid has the shape
          `zoo.nn.grid_shape(image_shape, depth=depth)`, 7 x 7 for 28 x 28.
        - `networks`: others in place of `zoo.nn.grid(width_size=..., depth=...)`: the encoder makes of an image a grid
          of vectors `(height, width, code_size)`, and the decoder an image of such a grid.
        - `likelihood`: one of `zoo.likelihoods`; decides how many channels the decoder puts out.
        - `prior`: `priors.UniformCodes` unless given; `priors.Autoregressive` of the grid's shape is learned.
        - `key`: for the initial weights.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` for data that are neither pictures nor signals, for sizes below these, and for a prior
        that is not over this grid and this number of codes.
        """
        check_counts("VQVAE", at_least=2, codebook_size=codebook_size)
        check_counts("VQVAE", code_size=code_size)
        encoder_key, decoder_key, codebook_key = jr.split(key, 3)
        networks = choose_networks("VQVAE", networks, grid, width_size=width_size, depth=depth)
        self.encoder = networks.encoder(image_shape, code_size, key=encoder_key)
        self.decoder = networks.decoder(code_size, parameter_shape(likelihood, image_shape), key=decoder_key)
        # Where the encoder's vectors are, on the unit sphere.
        self.codebook = unit(jr.normal(codebook_key, (codebook_size, code_size)))
        image = jax.ShapeDtypeStruct(image_shape, jnp.result_type(float))
        places = eqx.filter_eval_shape(self.encoder, image).shape[:-1]
        self.prior = UniformCodes(places, codebook_size) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.data_shape = image_shape
        check_parts(self)

    def posterior(self, x: Float[Array, " channels *sides"]) -> Quantised:
        return Quantised(self.encoder(self.features(x)), self.codebook)

    def decode(self, z: Code) -> Float[Array, " ..."]:
        return self.decoder(self.codebook[z.index] if z.vector is None else z.vector)
