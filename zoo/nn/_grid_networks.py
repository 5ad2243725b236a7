from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from ._halvings import plan_halvings
from ._layers import Conv, Sequential, from_row, to_row, unit
from ._networks import Networks, pooled_stages, stage, stage_widths, upsampling_stages
from .convolution import conv


def grid(*, width_size: int = 32, depth: int | None = None) -> Networks:
    """`GridEncoder` and `GridDecoder`: pictures of any size or signals, and small grids of vectors.

    **Arguments:** `width_size`, `depth`: as in `GridEncoder`.
    """
    options = dict(width_size=width_size, depth=depth)
    return Networks(partial(GridEncoder, **options), partial(GridDecoder, **options))


class GridEncoder(eqx.Module):
    """A picture or a signal to a grid of unit vectors of the shape `grid_shape`: `ConvEncoder` without its affine head.

    Stages of two 3 x 3 convolutions and a 2 x 2 max-pool each, then an affine map at each place, whose value is
    divided by its length: codes then differ in direction alone, and none is out of an encoding's reach.

    Yu et al., "Vector-quantized image modeling with improved VQGAN", 2022, section 3.2, for the length.
    """

    stages: Sequential

    def __init__(
        self,
        image_shape: tuple[int, ...],
        code_size: int,
        *,
        width_size: int = 32,
        depth: int | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:** `code_size`: length of each vector; the others as in `ConvEncoder`.

        **Raises:** `ValueError` as `ConvEncoder`."""
        plan = plan_halvings("GridEncoder", image_shape, depth)
        widths = stage_widths("GridEncoder", plan, width_size)
        *keys, last_key = jr.split(key, len(widths) + 1)
        layers = pooled_stages(plan, image_shape[0], widths, "none", keys=keys)
        last = Conv(widths[-1], code_size, size=1, key=last_key)
        as_given = (from_row,) if plan.is_signal else ()
        self.stages = Sequential((*layers, last, unit, *as_given))

    def __call__(self, x: Float[Array, " channels *sides"]) -> Float[Array, " *places code"]:
        return self.stages(jnp.moveaxis(x, 0, -1))


class GridDecoder(eqx.Module):
    """A grid of vectors to a picture or a signal: `ConvDecoder` without its affine head.

    A 3 x 3 convolution, stages of upsampling and two 3 x 3 convolutions each, and one to the picture.
    """

    stages: Sequential

    def __init__(
        self,
        code_size: int,
        image_shape: tuple[int, ...],
        *,
        width_size: int = 32,
        depth: int | None = None,
        key: PRNGKeyArray,
    ):
        """**Arguments:** `code_size`: length of each vector; the others as in `ConvEncoder`.

        **Raises:** `ValueError` as `ConvEncoder`."""
        plan = plan_halvings("GridDecoder", image_shape, depth)
        widths = stage_widths("GridDecoder", plan, width_size)
        first_key, *keys = jr.split(key, len(widths) + 2)
        first = stage(conv, (code_size, widths[-1]), "none", (), kernel=plan.kernel, key=first_key)
        as_row = (to_row,) if plan.is_signal else ()
        others = upsampling_stages(plan, image_shape[0], widths, "none", keys=keys)
        self.stages = Sequential((*as_row, *first, *others))

    def __call__(self, z: Float[Array, " *places code"]) -> Float[Array, " channels *sides"]:
        return jnp.moveaxis(self.stages(z), -1, 0)
