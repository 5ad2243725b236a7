from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from ._layers import Conv, Sequential, max_pool, unit
from ._networks import Networks, small_shape, stage
from .convolution import conv, upsample_conv


def grid(*, width_size: int = 32) -> Networks:
    """`GridEncoder` and `GridDecoder`: images whose sides divide by 4, and grids of vectors a quarter of their size.

    **Arguments:** `width_size`: as in `GridEncoder`.
    """
    return Networks(partial(GridEncoder, width_size=width_size), partial(GridDecoder, width_size=width_size))


class GridEncoder(eqx.Module):
    """An image to a grid of unit vectors, a quarter of its height and width: `ConvEncoder` without its affine head.

    Two stages of two 3 x 3 convolutions and a 2 x 2 max-pool each, then an affine map at each place, whose value is
    divided by its length: codes then differ in direction alone, and none is out of an encoding's reach.

    Yu et al., "Vector-quantized image modeling with improved VQGAN", 2022, section 3.2, for the length.
    """

    stages: Sequential

    def __init__(self, image_shape: tuple[int, ...], code_size: int, *, width_size: int = 32, key: PRNGKeyArray):
        """**Arguments:** `image_shape`: `(channels, height, width)`; `code_size`: length of each vector; `width_size`:
        channels of the first stage, half of those of the second.

        **Raises:** `ValueError` where a side does not divide by 4, and for a width below 1."""
        narrow, wide = width_size, small_shape("GridEncoder", image_shape, width_size)[2]
        key1, key2, key3 = jr.split(key, 3)
        first = stage(conv, (image_shape[0], narrow, narrow), "none", (), key=key1)
        second = stage(conv, (narrow, wide, wide), "none", (), key=key2)
        last = Conv(wide, code_size, size=1, key=key3)
        self.stages = Sequential((*first, max_pool, *second, max_pool, last, unit))

    def __call__(self, x: Float[Array, " channels height width"]) -> Float[Array, " low narrow code"]:
        return self.stages(jnp.moveaxis(x, 0, -1))


class GridDecoder(eqx.Module):
    """A grid of vectors to an image of four times its height and width: `ConvDecoder` without its affine head.

    A 3 x 3 convolution, two stages of upsampling and two 3 x 3 convolutions each, and one to the image.
    """

    stages: Sequential

    def __init__(self, code_size: int, image_shape: tuple[int, ...], *, width_size: int = 32, key: PRNGKeyArray):
        """**Arguments:** `code_size`: length of each vector; `image_shape`: `(channels, height, width)`; `width_size`:
        channels of the first stage of upsampling, half of those of the second.

        **Raises:** `ValueError` where a side does not divide by 4, and for a width below 1."""
        narrow, wide = width_size, small_shape("GridDecoder", image_shape, width_size)[2]
        key1, key2, key3, key4 = jr.split(key, 4)
        first = stage(conv, (code_size, wide), "none", (), key=key1)
        second = stage(upsample_conv, (wide, narrow, narrow), "none", (), key=key2)
        third = stage(upsample_conv, (narrow, wide, wide), "none", (), key=key3)
        self.stages = Sequential((*first, *second, *third, Conv(wide, image_shape[0], key=key4)))

    def __call__(self, z: Float[Array, " low narrow code"]) -> Float[Array, " channels height width"]:
        return jnp.moveaxis(self.stages(z), -1, 0)
