import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ._layers import Conv, Linear, Sequential, max_pool
from ._norm import AxisNames, normalisation
from .convolution import conv, upsample_conv


class Networks(NamedTuple):
    """How to build the two networks of an autoencoder, once their sizes are known.

    **Fields:**

    - `encoder(in_shape, out_size, *, key)`: a module from data to `out_size` numbers.
    - `decoder(in_size, out_shape, *, key)`: a module from `in_size` numbers to data.
    """

    encoder: Callable[..., Callable]
    decoder: Callable[..., Callable]


def fully_connected(*, width_size: int = 200, depth: int = 2, activation: Callable = jax.nn.selu) -> Networks:
    """Two `MLP`s; data of any shape are flattened inside.

    **Arguments:** `width_size`, `depth`, `activation`: as in `MLP`.
    """
    hidden = partial(MLP, width_size=width_size, depth=depth, activation=activation)
    return Networks(
        lambda in_shape, out_size, *, key: hidden(in_shape, (out_size,), key=key),
        lambda in_size, out_shape, *, key: hidden((in_size,), out_shape, key=key),
    )


def convolutional(*, width_size: int = 32, norm: str = "none") -> Networks:
    """`ConvEncoder` and `ConvDecoder`: images whose sides divide by 4.

    **Arguments:** `width_size`, `norm`: as in `ConvEncoder`.
    """
    options = dict(width_size=width_size, norm=norm)
    return Networks(partial(ConvEncoder, **options), partial(ConvDecoder, **options))


class MLP(eqx.Module):
    """A fully connected network from an array of one shape to an array of another."""

    layers: Sequential
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        width_size: int,
        depth: int,
        activation: Callable,
        key: PRNGKeyArray,
    ):
        """**Arguments:** `in_shape`, `out_shape`: of the arrays; `depth` hidden layers of `width_size` units, each
        followed by `activation`.
        """
        sizes = [math.prod(in_shape)] + [width_size] * depth + [math.prod(out_shape)]
        keys = jr.split(key, depth + 1)
        layers = [Linear(a, b, key=key) for a, b, key in zip(sizes[:-1], sizes[1:], keys, strict=True)]
        hidden = [f for layer in layers[:-1] for f in (layer, activation)]
        self.layers = Sequential((*hidden, layers[-1]))
        self.in_shape = in_shape
        self.out_shape = out_shape

    def __call__(self, x: Float[Array, " *in_shape"]) -> Float[Array, " *out_shape"]:
        return self.layers(x.reshape(-1)).reshape(self.out_shape)


def stage(
    operation: Callable,
    sizes: tuple[int, ...],
    norm: str,
    axis_names: AxisNames,
    activation: Callable = jax.nn.selu,
    *,
    key: PRNGKeyArray,
) -> list[Callable]:
    """Convolutions from `sizes[0]` channels to `sizes[-1]`, each normalised and activated; the first by `operation`."""
    layers = []
    for a, b, key in zip(sizes[:-1], sizes[1:], jr.split(key, len(sizes) - 1), strict=True):
        # `BatchNorm` takes a bias off again, but not before XLA has written the sum out: a tenth of a step.
        convolution = Conv(a, b, operation=operation, use_bias=norm != "batch", key=key)
        layers += [convolution, *normalisation(norm, b, axis_names), activation]
        operation = conv
    return layers


def small_shape(call: str, image_shape: tuple[int, ...], width_size: int) -> tuple[int, int, int]:
    """Return the shape, channels last, of what two stages leave of an image: its sides halved twice, twice the width.

    **Raises:** `ValueError` for what is no image, sides that cannot be halved twice, or no channels.
    """
    sides = image_shape[1:]
    if len(image_shape) != 3 or min(image_shape) < 1 or any(side % 4 for side in sides):
        raise ValueError(
            f"`{call}(image_shape={image_shape})`: (channels, height, width) with sides that divide by 4 "
            "are needed; pad or crop the images"
        )
    check_counts(call, width_size=width_size)
    return sides[0] // 4, sides[1] // 4, 2 * width_size


class AbstractImageEncoder(eqx.Module):
    """Stages that take an image with its channels last, then an affine map of all that they leave."""

    stages: eqx.AbstractVar[Sequential]
    head: eqx.AbstractVar[Linear]

    def __call__(self, x: Float[Array, " channels height width"]) -> Float[Array, " out_size"]:
        # Channels go last at the door: XLA's convolutions are fast in loops only in that layout.
        return self.head(self.stages(jnp.moveaxis(x, 0, -1)).reshape(-1))


class AbstractImageDecoder(eqx.Module):
    """An affine map to a small image of shape `head_shape`, channels last, then stages that make the image of it."""

    head: eqx.AbstractVar[Linear]
    stages: eqx.AbstractVar[Sequential]
    head_shape: eqx.AbstractVar[tuple[int, int, int]]

    def __call__(self, z: Float[Array, " latent"]) -> Float[Array, " channels height width"]:
        return jnp.moveaxis(self.stages(self.head(z).reshape(self.head_shape)), -1, 0)


class ConvEncoder(AbstractImageEncoder):
    """Two stages of two 3 x 3 convolutions and a 2 x 2 max-pool each, then an affine map.

    **Arguments:**

    - `image_shape`: `(channels, height, width)`.
    - `out_size`: how many numbers to make of it.
    - `width_size`: channels of the first stage, half of those of the second.
    - `norm`: after each convolution: "none", "group" (`GroupNorm`) or "batch" (`BatchNorm`).

    **Raises:** `ValueError` where a side does not divide by 4, and for a width below 1.
    """

    stages: Sequential
    head: Linear

    def __init__(
        self,
        image_shape: tuple[int, ...],
        out_size: int,
        *,
        width_size: int = 32,
        norm: str = "none",
        key: PRNGKeyArray,
    ):
        shape = small_shape("ConvEncoder", image_shape, width_size)
        channels, narrow, wide = image_shape[0], width_size, shape[2]
        key1, key2, key3 = jr.split(key, 3)
        first = stage(conv, (channels, narrow, narrow), norm, ("batch",), key=key1)
        second = stage(conv, (narrow, wide, wide), norm, ("batch",), key=key2)
        self.stages = Sequential((*first, max_pool, *second, max_pool))
        self.head = Linear(math.prod(shape), out_size, key=key3)


class ConvDecoder(AbstractImageDecoder):
    """An affine map to small images, then two stages of upsampling and two 3 x 3 convolutions each.

    **Arguments:** `latent_size`: dimensions of z; the others as in `ConvEncoder`, the first stage being the one at
    half the height and width.

    **Raises:** `ValueError` where a side does not divide by 4, and for a width below 1.
    """

    head: Linear
    stages: Sequential
    head_shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(
        self,
        latent_size: int,
        image_shape: tuple[int, ...],
        *,
        width_size: int = 32,
        norm: str = "none",
        key: PRNGKeyArray,
    ):
        self.head_shape = small_shape("ConvDecoder", image_shape, width_size)
        channels, narrow, wide = image_shape[0], width_size, self.head_shape[2]
        key1, key2, key3, key4 = jr.split(key, 4)
        axis_names = ("batch", "k")
        self.head = Linear(latent_size, math.prod(self.head_shape), key=key1)
        first = stage(upsample_conv, (wide, narrow, narrow), norm, axis_names, key=key2)
        second = stage(upsample_conv, (narrow, wide, wide), norm, axis_names, key=key3)
        self.stages = Sequential((*first, *second, Conv(wide, channels, key=key4)))
