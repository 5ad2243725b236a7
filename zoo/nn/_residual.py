import math
from functools import partial

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ._layers import Conv, Linear, Sequential, space_to_depth, zeroed
from ._networks import AbstractImageDecoder, AbstractImageEncoder, Networks
from .convolution import upsample_conv


class ResidualBlock(eqx.Module):
    r"""$x + f(x)$ with f twice activated (SiLU) and convolved 3 x 3.

    The last kernel starts at zeros, so a deep network starts as a shallow one and needs no normalisation. Moments
    taken within an image would hide from the decoder how bright it is.

    **Arguments:** `channels` of the image, before and after.

    He et al., "Identity mappings in deep residual networks", 2016, figure 1b, without its normalisation, as in Zhang
    et al., "Fixup initialization", 2019, and Child, "Very deep VAEs generalize autoregressive models", 2021.
    """

    branch: Sequential

    def __init__(self, channels: int, *, key: PRNGKeyArray):
        first_key, second_key = jr.split(key)
        first, second = (Conv(channels, channels, key=key) for key in (first_key, second_key))
        self.branch = Sequential((jax.nn.silu, first, jax.nn.silu, zeroed(second)))

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " height width channels"]:
        return x + self.branch(x)


def _halvings(image_shape: tuple[int, ...]) -> int:
    """How often both sides can be halved before one would be odd or shorter than 4."""
    count, sides = 0, image_shape[1:]
    while all(side % 2 == 0 and side >= 8 for side in sides):
        count, sides = count + 1, tuple(side // 2 for side in sides)
    return count


def _check(call: str, image_shape: tuple[int, ...], width_size: int, depth: int) -> None:
    if len(image_shape) != 3 or min(image_shape) < 1 or _halvings(image_shape) == 0:
        raise ValueError(
            f"`{call}(image_shape={image_shape})`: (channels, height, width) with even sides of at least 8 are "
            "needed; pad or crop the images"
        )
    check_counts(call, width_size=width_size, depth=depth)


class ResidualEncoder(AbstractImageEncoder):
    """Stages of residual blocks; between them height and width halve and channels double; then an affine map.

    **Arguments:**

    - `image_shape`: `(channels, height, width)`, the sides even and at least 8.
    - `out_size`: how many numbers to make of it.
    - `width_size`: channels of the first stage.
    - `depth`: blocks in each stage.

    **Raises:** `ValueError` for other sides, and for a width or depth below 1.
    """

    stages: Sequential
    head: Linear

    def __init__(
        self,
        image_shape: tuple[int, ...],
        out_size: int,
        *,
        width_size: int = 32,
        depth: int = 1,
        key: PRNGKeyArray,
    ):
        _check("ResidualEncoder", image_shape, width_size, depth)
        count = _halvings(image_shape)
        stem_key, head_key, *keys = jr.split(key, 1 + count * (depth + 1))
        keys = iter(keys)
        # The first halving comes at once: blocks at full size cost most and see least.
        layers: list = [space_to_depth, Conv(4 * image_shape[0], width_size, key=stem_key)]
        width = width_size
        for stage in range(count):
            if stage:
                layers += [space_to_depth, Conv(4 * width, 2 * width, size=1, key=next(keys))]
                width *= 2
            layers += [ResidualBlock(width, key=next(keys)) for _ in range(depth)]
        self.stages = Sequential((*layers, jax.nn.silu))
        self.head = Linear(width * math.prod(side >> count for side in image_shape[1:]), out_size, key=head_key)


class ResidualDecoder(AbstractImageDecoder):
    """`ResidualEncoder` backwards: nearest-neighbour upsampling where that halves.

    **Arguments:** `latent_size`: dimensions of z; the others as in `ResidualEncoder`.
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
        depth: int = 1,
        key: PRNGKeyArray,
    ):
        _check("ResidualDecoder", image_shape, width_size, depth)
        count = _halvings(image_shape)
        head_key, last_key, *keys = jr.split(key, 2 + count * (depth + 1))
        keys = iter(keys)
        width = width_size << (count - 1)
        height, breadth = (side >> count for side in image_shape[1:])
        self.head_shape = (height, breadth, width)
        self.head = Linear(latent_size, math.prod(self.head_shape), key=head_key)
        layers: list = []
        for stage in range(count):
            layers += [ResidualBlock(width, key=next(keys)) for _ in range(depth)]
            narrower = max(width // 2, width_size)
            layers += [Conv(width, narrower, operation=upsample_conv, key=next(keys))]
            width = narrower
        self.stages = Sequential((*layers, jax.nn.silu, Conv(width, image_shape[0], key=last_key)))


def residual(*, width_size: int = 32, depth: int = 1) -> Networks:
    """`ResidualEncoder` and `ResidualDecoder`: images with even sides of at least 8.

    **Arguments:** `width_size`, `depth`: as in `ResidualEncoder`.
    """
    options = dict(width_size=width_size, depth=depth)
    return Networks(partial(ResidualEncoder, **options), partial(ResidualDecoder, **options))
