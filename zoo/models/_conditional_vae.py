import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import likelihoods
from .._checks import check_counts
from ..likelihoods import Units
from ..nn import Linear, Networks, networks_for, partitioned, zeroed
from ..posteriors import AbstractPosterior, DiagonalNormal, as_family
from ..priors import AbstractBorrowingPrior, AbstractPrior, StandardNormal
from ._abstract_vae import (
    AbstractVAE,
    check_parts,
    in_units,
    parameter_shape,
)
from ._network_vae import as_shape


class ConditionalVAE(AbstractVAE):
    r"""A variational autoencoder of x given a label y: p(x | z, y), q(z | x, y), and p(z) or p(z | y).

    $$\log p(x \mid y) \geq E_{q(z \mid x, y)} [\log p(x \mid z, y) + \log p(z \mid y) - \log q(z \mid x, y)]$$

    `model.given(y)` is the model of x at one label: a VAE like any other. `fit`, `log_likelihood` and the
    other functions of data take labels as `ys` and do that for each example; `sample` takes `y`.

    An affine map turns the label into one more channel of an image, or into more dimensions of a vector, and the
    encoder gets x with these stacked on it. The map starts at zero, so that the posterior begins as one of x alone.
    The decoder gets the label as more dimensions of z, from the start. What is stacked is multiplied by a constant,
    because initial weights shrink as a layer gets more inputs: the networks then see x and z as strongly as without a
    label. For p(z | y) pass `prior=zoo.priors.ConditionalMixture(...)` or `ConditionalNormal(...)`.

    Sohn, Lee and Yan, "Learning Structured Output Representation using Deep Conditional Generative Models",
    2015, equation 4; Kingma et al., "Semi-Supervised Learning with Deep Generative Models", 2014 (M2).
    """

    encoder: Callable = eqx.field(converter=partitioned)
    decoder: Callable = eqx.field(converter=partitioned)
    encoder_label: Linear
    prior: AbstractPrior | AbstractBorrowingPrior
    likelihood: Any
    family: Any = eqx.field(converter=as_family)
    data_shape: tuple[int, ...] = eqx.field(static=True)
    num_classes: int | None = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)
    condition: Float[Array, " condition"] | None

    def __init__(
        self,
        data_shape: int | tuple[int, ...] = (1, 28, 28),
        latent_size: int = 8,
        *,
        num_classes: int | None = None,
        condition_size: int | None = None,
        networks: Networks | None = None,
        likelihood: Any = likelihoods.continuous_bernoulli,
        prior: AbstractPrior | AbstractBorrowingPrior | None = None,
        posterior: Any = DiagonalNormal,
        units: Units | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `data_shape`: the shape of one example, `(channels, height, width)`, `(channels, length)` or `(size,)`.
        - `latent_size`: dimensions of z.
        - `num_classes`: for labels 0 to `num_classes - 1`; or else
        - `condition_size`: for labels that are vectors of so many numbers.
        - `networks`: `zoo.nn.strided(...)`, `zoo.nn.fully_connected(...)`, ...; unless given, the first for
          pictures and signals and the second for vectors.
        - `likelihood`, `prior`, `posterior`, `key`: as in `ConvVAE`.
        - `units`: `zoo.data.units(xs)` of your data, as in `zoo.VAE`; `zoo.fit` finds them itself.

        **Raises:** `ValueError` unless exactly one of `num_classes` (at least 2) and `condition_size` (at least 1)
        is given, and for sizes that the networks do not take.
        """
        data_shape = as_shape(data_shape)
        check_counts("ConditionalVAE", latent_size=latent_size)
        if (num_classes is None) == (condition_size is None):
            raise ValueError(
                f"`ConditionalVAE(num_classes={num_classes}, condition_size={condition_size})`: pass `num_classes` for "
                "class labels, or `condition_size` for vectors"
            )
        size = condition_size if num_classes is None else num_classes
        assert size is not None
        if size < (1 if num_classes is None else 2):
            raise ValueError(
                f"`ConditionalVAE(num_classes={num_classes}, condition_size={condition_size})`: at least two classes, "
                "or one number to a vector, are needed"
            )
        networks = networks_for(data_shape) if networks is None else networks
        encoder_key, decoder_key, label_key = jr.split(key, 3)
        plane = math.prod(data_shape[1:])
        channels = -(-size // plane)
        labelled = (data_shape[0] + channels, *data_shape[1:])
        self.encoder_label = zeroed(Linear(size, channels * plane, key=label_key))
        self.encoder = networks.encoder(labelled, posterior.num_params(latent_size), key=encoder_key)
        self.decoder = networks.decoder(latent_size + size, parameter_shape(likelihood, data_shape), key=decoder_key)
        self.prior = StandardNormal(latent_size) if prior is None else prior
        self.likelihood = in_units(likelihood, units)
        self.family = posterior
        self.data_shape = data_shape
        self.num_classes = num_classes
        self.condition_size = size
        self.condition = None
        check_parts(self.given(0 if condition_size is None else jnp.zeros(condition_size)))

    def given(self, y: Any) -> "ConditionalVAE":
        """The model of x at this label: an integer below `num_classes`, or a vector `(condition_size,)`."""
        y = jnp.asarray(y)
        vector = y if self.num_classes is None else jax.nn.one_hot(y, self.num_classes)
        return eqx.tree_at(lambda m: m.condition, self, vector, is_leaf=lambda leaf: leaf is None)

    def posterior(self, x: Float[Array, " ..."]) -> AbstractPosterior:
        x = self.features(x)
        label = self.encoder_label(self._label("posterior")).reshape(-1, *x.shape[1:])
        return self.family.from_params(self.encoder(_stacked(x, label)))

    def decode(self, z: Float[Array, " latent"]) -> Float[Array, " ..."]:
        return self.decoder(_stacked(z, self._label("decode")))

    def _label(self, call: str) -> Float[Array, " condition"]:
        if self.condition is None:
            raise ValueError(
                f"`ConditionalVAE.{call}` needs a label; call `model.given(y)` first, or pass `ys` to `fit`, "
                "`log_likelihood`, ... and `y` to `sample`"
            )
        return self.condition

    def check_labels(self, call: str, ys: Any, n: int) -> None:
        """Refuse labels for n examples that this model does not take, before anything compiles.

        **Raises:** `ValueError` that names the call, what was needed and what was found.
        """
        if ys is None:
            if self.condition is None:
                raise ValueError(f"`{call}` of a `ConditionalVAE` needs its labels; pass them, or `model.given(y)`")
            return
        ys = np.asarray(ys)
        shape = (n,) if self.num_classes is not None else (n, self.condition_size)
        if ys.shape != shape:
            raise ValueError(f"`{call}` needs labels of shape {shape}, got {ys.shape}; pass one for each example")
        if self.num_classes is None:
            if not (np.issubdtype(ys.dtype, np.floating) and np.isfinite(ys).all()):
                raise ValueError(f"`{call}` needs labels that are finite floats, got dtype {ys.dtype}")
        elif not np.issubdtype(ys.dtype, np.integer):
            raise ValueError(f"`{call}` needs integer labels, got dtype {ys.dtype}; cast with .astype('int32')")
        elif ys.size and not (0 <= int(ys.min()) and int(ys.max()) < self.num_classes):
            raise ValueError(
                f"`{call}` needs labels from 0 to {self.num_classes - 1}, got {ys.min()} to {ys.max()}; build the "
                "model with as many classes as the labels have"
            )


def _stacked(x: Float[Array, " size *sides"], label: Float[Array, " more *sides"]) -> Float[Array, " both *sides"]:
    # Initial weights shrink as a layer gets more inputs: without the factor a label would slow down learning.
    both = jnp.concatenate([x, label.astype(x.dtype)])
    return math.sqrt(len(both) / len(x)) * both


def given(model: Any, y: Any) -> Any:
    """The model at this label, where there is one; without a label the model itself.

    **Arguments:** `model`: a `ConditionalVAE`, or any other; `y`: a label of one example, or `None`.
    """
    return model if y is None else model.given(y)


def check_labels(call: str, model: Any, ys: Any, n: int) -> None:
    """Refuse labels that the model does not take, and their absence where it needs them.

    **Arguments:** `call`: what the message calls them; `model`; `ys`: labels `(n, ...)`, or `None`; `n`: how many are
    needed.

    **Raises:** `ValueError`, before anything compiles.
    """
    if isinstance(model, ConditionalVAE):
        model.check_labels(call, ys, n)
    elif ys is not None:
        raise ValueError(
            f"`{call}`: a `{type(model).__name__}` takes no labels; leave them out, or use `ConditionalVAE`"
        )
