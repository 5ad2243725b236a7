from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..evaluate import decode_means, encode
from ..models import AbstractVAE
from ._tiles import as_examples


def check_model(call: str, model: AbstractVAE) -> None:
    """Refuse a model whose data are neither images nor signals."""
    shape = model.data_shape
    if len(shape) != 2 and (len(shape) != 3 or shape[0] not in (1, 3)):
        raise ValueError(
            f"`{call}` draws images of shape (1 or 3, height, width) and signals (channels, length), but this model's "
            f"data are of shape {shape}; build the model for these, e.g. `MLPVAE((1, 28, 28), ...)`"
        )


def decode_latents(call: str, model: AbstractVAE, zs: np.ndarray) -> Float[np.ndarray, " n channels *sides"]:
    """Decode each latent to $E[x | z]$, ready for the screen."""
    shape = jax.eval_shape(lambda key: model.latent_prior.sample(key=key), jr.key(0)).shape
    if zs.shape[1:] != shape:
        raise ValueError(
            f"`{call}` got latents of shape {zs.shape[1:]}, but this model's are {shape}; encode with it, "
            "and give an image its channel axis: x[None]"
        )
    return as_examples(call, decode_means(model, jnp.asarray(zs, jnp.float32)))


def as_latents(
    call: str,
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    observe: Callable | None,
    key: PRNGKeyArray | None,
) -> np.ndarray:
    """Encode examples `(n, channels, ...)` as their posterior means; latents `(n, latent)` stay as they are."""
    if xs.ndim == 2:
        return np.asarray(xs)
    if key is None:
        raise ValueError(f"`{call}` encodes the images with `observe`, which needs a `key`; pass key=...")
    return np.asarray(encode(model, xs, observe=observe, key=key))


def with_batch_axis(call: str, name: str, model: AbstractVAE, x: Any) -> Array | np.ndarray:
    """Make one example or latent a batch of one; a batch stays as it is."""
    x = x if isinstance(x, Array) else np.asarray(x)
    # A signal has as many axes as a batch of latents: its shape says which it is.
    if x.ndim == 1 or x.shape == model.data_shape or (x.ndim == len(model.data_shape) == 3):
        x = x[None]
    if x.ndim not in (2, 1 + len(model.data_shape)) or len(x) == 0:
        raise ValueError(
            f"`{call}({name})` takes examples of shape {model.data_shape} or latents (latent,), or a batch of "
            f"them, got shape {x.shape}"
        )
    return x
