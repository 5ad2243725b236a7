from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ..nn import Networks, give_keys
from ..posteriors import AbstractPosterior
from ._abstract_vae import AbstractVAE, parameter_shape


class AbstractNetworkVAE(AbstractVAE):
    """A VAE of one encoder, one decoder and one family of posteriors between them."""

    encoder: eqx.AbstractVar[Callable]
    decoder: eqx.AbstractVar[Callable]
    family: eqx.AbstractVar[Any]

    def posterior(self, x: Float[Array, " ..."]) -> AbstractPosterior:
        return self.family.from_params(self.encoder(self.features(x)))

    def decode(self, z: PyTree[Float[Array, " ..."]]) -> Float[Array, " ..."]:
        return self.decoder(z)


def build_networks(
    networks: Networks,
    data_shape: tuple[int, ...],
    latent_size: int,
    *,
    likelihood: Any,
    posterior: Any,
    key: PRNGKeyArray,
) -> tuple[Callable, Callable]:
    """An encoder and a decoder of the sizes that this likelihood and this family of posteriors need."""
    encoder_key, decoder_key = jr.split(key)
    encoder = networks.encoder(data_shape, posterior.num_params(latent_size), key=encoder_key)
    return encoder, networks.decoder(latent_size, parameter_shape(likelihood, data_shape), key=decoder_key)


def as_shape(data_shape: int | tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example; a number is that of a vector."""
    return (data_shape,) if isinstance(data_shape, int) else tuple(data_shape)


def choose_networks(call: str, networks: Networks | None, default: Callable[..., Networks], **options: Any) -> Networks:
    """The networks that were given, or else the default ones with those of the options that were given.

    **Raises:** `ValueError` where both were given: networks have their sizes already.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if networks is None:
        return default(**given)
    if given:
        name, value = next(iter(given.items()))
        raise ValueError(
            f"`{call}(networks=..., {name}={value!r})`: networks have their own {name}; pass it where they are "
            f"made, such as `networks=zoo.nn.{default.__name__}({name}={value!r})`, or leave `networks` out"
        )
    return networks


def check_encoder(call: str, encoder: Callable, data_shape: tuple[int, ...], posterior: Any, latent_size: int) -> None:
    """Refuse an encoder that does not make of an example the numbers that the posterior takes."""
    x = jax.ShapeDtypeStruct((1, *data_shape), jnp.result_type(float))
    wanted = (posterior.num_params(latent_size),)
    encode = lambda encoder, xs: jax.vmap(give_keys(encoder, key=jr.key(0)), axis_name="batch")(xs)
    try:
        found = eqx.filter_eval_shape(encode, encoder, x).shape[1:]
    except TypeError as error:
        raise ValueError(
            f"`{call}(encoder=...)` cannot take one example, an array of shape {data_shape}: {error}; build it for "
            "that shape, and flatten inside where it needs a vector"
        ) from error
    if found != wanted:
        raise ValueError(
            f"`{call}(encoder=..., latent_size={latent_size})`: the encoder gives an array of shape {found}, but "
            f"this posterior takes {wanted}; give the encoder `posterior.num_params({latent_size})` outputs"
        )
