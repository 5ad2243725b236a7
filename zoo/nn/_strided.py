import math
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from ._halvings import plan_halvings
from ._layers import (
    Conv,
    Linear,
    Sequential,
    depth_to_space,
    resize,
    space_to_depth,
    starting_at_zero,
    upsampling,
    variance_preserving_gelu,
)
from ._networks import (
    AbstractImageDecoder,
    AbstractImageEncoder,
    Networks,
    fully_connected,
    stage,
    stage_widths,
)
from .convolution import conv


class StridedEncoder(AbstractImageEncoder):
    """Height and width halve before each of the stages of two 3 x 3 convolutions; then an affine map.

    As `ConvEncoder`, which halves after each stage, but with nothing computed at full height and width: each 2 x 2
    square of pixels becomes one of four times the channels, so that the convolution that follows is a strided one.

    **Arguments:** as `ConvEncoder`.

    **Raises:** `ValueError` as `ConvEncoder`.

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
        depth: int | None = None,
        norm: str = "none",
        key: PRNGKeyArray,
    ):
        plan = plan_halvings("StridedEncoder", image_shape, depth)
        widths = stage_widths("StridedEncoder", plan, width_size)
        *keys, head_key = jr.split(key, len(widths) + 1)
        options: dict = dict(norm=norm, axis_names=("batch",), activation=variance_preserving_gelu, kernel=plan.kernel)
        layers, channels = [*plan.way_in()], image_shape[0]
        for factors, width, key in zip(plan.factors, widths, keys, strict=True):
            sizes = (math.prod(factors) * channels, width, width)
            layers += [resize(space_to_depth, factors), *stage(conv, sizes, **options, key=key)]
            channels = width
        self.stages = Sequential(tuple(layers))
        self.head = Linear(math.prod(plan.small) * channels, out_size, key=head_key)


class StridedDecoder(AbstractImageDecoder):
    """An affine map to small images, stages of two 3 x 3 convolutions, all but the first after upsampling, and one
    whose channels become the 2 x 2 squares of the image (sub-pixel).

    As many stages as `StridedEncoder` has, mirrored: of 28 x 28 two, at 7 x 7 and at 14 x 14. What was padded there is
    cropped here, so that nothing stands for it in the data's density.

    **Arguments:** as `ConvDecoder`.

    **Raises:** `ValueError` as `ConvEncoder`.

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
        depth: int | None = None,
        norm: str = "none",
        key: PRNGKeyArray,
    ):
        plan = plan_halvings("StridedDecoder", image_shape, depth)
        *widths, width = stage_widths("StridedDecoder", plan, width_size)
        head_key, first_key, *keys, last_key = jr.split(key, len(widths) + 3)
        options: dict = dict(
            norm=norm, axis_names=("batch", "k"), activation=variance_preserving_gelu, kernel=plan.kernel
        )
        self.head_shape = (*plan.small, width)
        self.head = Linear(latent_size, math.prod(self.head_shape), key=head_key)
        layers = stage(conv, (width, width, width), **options, key=first_key)
        for factors, out, key in zip(plan.factors[:0:-1], widths[::-1], keys, strict=True):
            before, operation = upsampling(factors)
            layers += [*before, *stage(operation, (width, out, out), **options, key=key)]
            width = out
        channels, pixels = image_shape[0], math.prod(plan.factors[0])
        last = Conv(width, pixels * channels, size=plan.kernel, key=last_key)
        # The pixels of a square start alike, or their differences would stay in the pictures as a pattern.
        alike = jnp.tile(last.kernel[..., :channels], pixels)
        last = eqx.tree_at(lambda conv: conv.kernel, last, alike)
        self.stages = Sequential((*layers, last, resize(depth_to_space, plan.factors[0]), *plan.way_out()))


def strided(*, width_size: int = 32, depth: int | None = None, norm: str = "none") -> Networks:
    """`StridedEncoder` and `StridedDecoder`: pictures of any size, and signals.

    **Arguments:** `width_size`, `depth`, `norm`: as in `ConvEncoder`.
    """
    options = dict(width_size=width_size, depth=depth, norm=norm)
    return Networks(partial(StridedEncoder, **options), starting_at_zero(partial(StridedDecoder, **options)))


def networks_for(data_shape: tuple[int, ...]) -> Networks:
    """Choose the networks that fit the data where none are named: `strided()` for pictures and signals, else
    `fully_connected()`.

    **Arguments:** `data_shape`: `(channels, height, width)` of a picture, `(channels, length)` of a signal,
    `(dimensions,)` of a vector.
    """
    return strided() if len(data_shape) in (2, 3) else fully_connected()
