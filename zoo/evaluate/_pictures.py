from collections.abc import Callable

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data
from ..models import AbstractVAE
from ._checks import check_evaluation
from ._examples import over_examples


def reconstruct(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    observe: Callable | None = None,
    key: PRNGKeyArray,
) -> Float[Array, " n ..."]:
    r"""What the model makes of each example: $E[x' \mid z]$ at one $z \sim q(z \mid x)$.

    **Arguments:** `xs`: `(n, ...)`, uint8 pixels or floats; `observe`: as in `zoo.fit`.

    **Returns:** the likelihood's means, of the examples' shape.
    """
    return _of_each("reconstruct", _reconstruction, model, xs, observe, key)


def _reconstruction(model, x, *, key):
    return model.likelihood.mean(model.decode(model.posterior(x).sample(key=key)))


def encode(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    observe: Callable | None = None,
    key: PRNGKeyArray,
) -> Float[Array, " n latent"]:
    """The posterior mean of each example, E[z | x]; arguments as in `reconstruct`."""
    return _of_each("encode", _mean, model, xs, observe, key)


def draw_latents(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    observe: Callable | None = None,
    key: PRNGKeyArray,
) -> Float[Array, " n latent"]:
    """One draw z ~ q(z | x) for each example: draws of the aggregated posterior; arguments as in `reconstruct`."""
    return _of_each("draw_latents", _draw, model, xs, observe, key)


def _draw(model, x, *, key):
    return model.posterior(x).sample(key=key)


def _mean(model, x, *, key):
    return model.posterior(x).mean


def _of_each(call, function, model, xs, observe, key):
    check_evaluation(call, model, xs, k=1, observe=observe)
    observe = data.scale if observe is None else observe
    return over_examples(function, model, xs, observe=observe, at_once=256, block=1024, progress=None, key=key)


@eqx.filter_jit
def decode(model: AbstractVAE, zs: Float[Array, " n latent"]) -> Float[Array, " n ..."]:
    """The likelihood's mean at each latent, $E[x | z]$: what a picture of z shows."""
    return jax.vmap(lambda z: model.likelihood.mean(model.decode(z)))(zs)


def sample(model: AbstractVAE, n: int, *, noise: bool = False, key: PRNGKeyArray) -> Float[Array, " n ..."]:
    r"""Examples from the model: $z \sim p(z)$, then the likelihood.

    **Arguments:**

    - `n`: how many, at least 1.
    - `noise`: `True` for $x \sim p(x \mid z)$, a sample of the model's density, observation noise included;
      `False` for $E[x \mid z]$, what a picture shows.
    """
    if n < 1:
        raise ValueError(f"`sample(n={n})`: at least 1 is needed")
    return _sample(model, jr.split(key, n), noise)


@eqx.filter_jit
def _sample(model, keys, noise):
    def one(key):
        prior_key, noise_key = jr.split(key)
        params = model.decode(model.latent_prior.sample(key=prior_key))
        return model.likelihood.sample(params, key=noise_key) if noise else model.likelihood.mean(params)

    return jax.vmap(one)(keys)
