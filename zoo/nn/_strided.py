import math
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from ._layers import Conv, Linear, Sequential, depth_to_space, space_to_depth, variance_preserving_gelu
from ._networks import AbstractImageDecoder, AbstractImageEncoder, Networks, fully_connected, small_shape, stage
from .convolution import conv, upsample_conv


class StridedEncoder(AbstractImageEncoder):
    """Height and width halve before each of two stages of two 3 x 3 convolutions; then an affine map.

    As `ConvEncoder`, which halves after each stage, but with nothing computed at full height and width: each 2 x 2
    square of pixels becomes one of four times the channels, so that the convolution that follows is a strided one.

    **Arguments:** as `ConvEncoder`.

    **Raises:** `ValueError` where a side does not divide by 4, and for a width below 1.

    Springenberg et al., "Striving for simplicity: the all convolutional net", 2015, for strides in place of pools.
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
        shape = small_shape("StridedEncoder", image_shape, width_size)
        channels, narrow, wide = image_shape[0], width_size, shape[2]
        key1, key2, key3 = jr.split(key, 3)
        first = stage(conv, (4 * channels, narrow, narrow), norm, ("batch",), variance_preserving_gelu, key=key1)
        second = stage(conv, (4 * narrow, wide, wide), norm, ("batch",), variance_preserving_gelu, key=key2)
        self.stages = Sequential((space_to_depth, *first, space_to_depth, *second))
        self.head = Linear(math.prod(shape), out_size, key=key3)


class StridedDecoder(AbstractImageDecoder):
    """An affine map to images of a quarter of the height and width, two stages of two 3 x 3 convolutions, the second
    after upsampling, and one whose channels become the 2 x 2 squares of the image (sub-pixel).

    **Arguments:** as `ConvDecoder`.

    **Raises:** `ValueError` where a side does not divide by 4, and for a width below 1.

    Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network", 2016, equation 4; Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017, for its start.
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
        self.head_shape = small_shape("StridedDecoder", image_shape, width_size)
        channels, narrow, wide = image_shape[0], width_size, self.head_shape[2]
        key1, key2, key3, key4 = jr.split(key, 4)
        axis_names = ("batch", "k")
        self.head = Linear(latent_size, math.prod(self.head_shape), key=key1)
        first = stage(conv, (wide, wide, wide), norm, axis_names, variance_preserving_gelu, key=key2)
        second = stage(upsample_conv, (wide, narrow, narrow), norm, axis_names, variance_preserving_gelu, key=key3)
        last = Conv(narrow, 4 * channels, key=key4)
        # The four pixels of a square start alike, or their differences would stay in the pictures as a pattern.
        alike = jnp.tile(last.kernel[..., :channels], 4)
        last = eqx.tree_at(lambda conv: conv.kernel, last, alike)
        self.stages = Sequential((*first, *second, last, depth_to_space))


def strided(*, width_size: int = 32, norm: str = "none") -> Networks:
    """`StridedEncoder` and `StridedDecoder`: images whose sides divide by 4.

    **Arguments:** `width_size`, `norm`: as in `ConvEncoder`.
    """
    options = dict(width_size=width_size, norm=norm)
    return Networks(partial(StridedEncoder, **options), partial(StridedDecoder, **options))


def networks_for(data_shape: tuple[int, ...]) -> Networks:
    """Choose the networks that fit the data where none are named: `strided()` for images, else `fully_connected()`.

    **Arguments:** `data_shape`: `(channels, height, width)` of an image, `(dimensions,)` of a vector.
    """
    return strided() if len(data_shape) == 3 else fully_connected()
