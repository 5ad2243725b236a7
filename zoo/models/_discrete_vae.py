from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .. import likelihoods
from ..likelihoods import Units
from ..nn import Networks, networks_for, partitioned
from ..posteriors import AbstractPosterior, GumbelSoftmax, StraightThrough, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, UniformCategorical, check_categorical_sizes
from ._abstract_vae import AbstractVAE, check_parts, in_units, parameter_shape
from ._network_vae import as_shape


class DiscreteVAE(AbstractVAE):
    r"""A variational autoencoder with independent categorical latents; z is one-hot, `(variables, classes)`.

    $$\log p(x) \geq E_{q(z \mid x)} [\log p(x \mid z) + \log p(z) - \log q(z \mid x)]$$

    With `straight_through` draws are exact, and all values are the bounds that they are elsewhere: of a
    discrete model. The posterior's gradient takes a draw's relaxation in its place and is biased, so
    `zoo.estimators.stl` and `zoo.estimators.dreg`, whose identities need exact gradients, refuse. Without
    it, training sees the relaxed draws themselves, and the model is to be frozen (`zoo.freeze`) before it is
    scored or drawn from. `zoo.objectives.elbo_kl` has the divergence exactly.

    Jang, Gu & Poole, "Categorical reparameterization with Gumbel-softmax", 2017; Maddison, Mnih & Teh,
    "The concrete distribution", 2017.
    """

    encoder: Callable = eqx.field(converter=partitioned)
    decoder: Callable = eqx.field(converter=partitioned)
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    family: Any = eqx.field(converter=as_family)
    data_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        data_shape: int | tuple[int, ...] = (1, 28, 28),
        num_variables: int = 20,
        num_classes: int = 10,
        *,
        networks: Networks | None = None,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        temperature: float = 1.0,
        straight_through: bool = True,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        r"""**Arguments:**

        - `data_shape`: the shape of one example, `(channels, height, width)`, `(channels, length)` or `(size,)`.
        - `num_variables`: latent variables, at least 1.
        - `num_classes`: the classes of each, at least 2.
        - `networks`: `zoo.nn.strided(...)`, `zoo.nn.fully_connected(...)`, ...; unless given, the first for
          pictures and signals and the second for vectors.
        - `likelihood`: one of `zoo.likelihoods`.
        - `prior`: `priors.UniformCategorical(num_variables, num_classes)` unless given; `priors.Categorical` learns.
        - `temperature`: $\tau > 0$ of the relaxation that gradients go through.
        - `straight_through`: whether the draws themselves stay exact while training.
        - `key`: for the initial weights.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` for sizes below these, a prior of other sizes, a temperature that is not above 0,
        and sizes that the networks do not take.
        """
        data_shape = as_shape(data_shape)
        check_categorical_sizes("DiscreteVAE", num_variables, num_classes)
        networks = networks_for(data_shape) if networks is None else networks
        family = (StraightThrough if straight_through else GumbelSoftmax)(num_classes, temperature)
        encoder_key, decoder_key = jr.split(key)
        size = family.num_params(num_variables)
        self.encoder = networks.encoder(data_shape, size, key=encoder_key)
        self.decoder = networks.decoder(size, parameter_shape(likelihood, data_shape), key=decoder_key)
        self.prior = UniformCategorical(num_variables, num_classes) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.family = family
        self.data_shape = data_shape
        check_parts(self)

    def posterior(self, x: Float[Array, " ..."]) -> AbstractPosterior:
        return self.family.from_params(self.encoder(self.features(x)))

    def decode(self, z: Float[Array, " variables classes"]) -> Float[Array, " ..."]:
        return self.decoder(z.reshape(-1))
