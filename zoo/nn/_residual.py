import math
from functools import partial

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ._halvings import Halvings, plan_halvings
from ._layers import Conv, Linear, Sequential, resize, space_to_depth, upsampling, zeroed
from ._networks import AbstractImageDecoder, AbstractImageEncoder, Networks


class ResidualBlock(eqx.Module):
    r"""$x + f(x)$ with f twice activated (SiLU) and convolved 3 x 3.

    The last kernel starts at zeros, so a deep network starts as a shallow one and needs no normalisation. Moments
    taken within an image would hide from the decoder how bright it is.

    **Arguments:** `channels` of the image, before and after; `size`: rows and columns of the kernels.

    He et al., "Identity mappings in deep residual networks", 2016, figure 1b, without its normalisation, as in Zhang
    et al., "Fixup initialization", 2019, and Child, "Very deep VAEs generalize autoregressive models", 2021.
    """

    branch: Sequential

    def __init__(self, channels: int, *, size: int | tuple[int, int] = 3, key: PRNGKeyArray):
        first_key, second_key = jr.split(key)
        first, second = (Conv(channels, channels, size=size, key=key) for key in (first_key, second_key))
        self.branch = Sequential((jax.nn.silu, first, jax.nn.silu, zeroed(second)))

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " height width channels"]:
        return x + self.branch(x)


def _plan(
    call: str, image_shape: tuple[int, ...], width_size: int, depth: int, halvings: int | None
) -> tuple[Halvings, list[int]]:
    """Choose the halvings, until at most 7 points are left of a side, and the channels after each: they double."""
    check_counts(call, width_size=width_size, depth=depth)
    plan = plan_halvings(call, image_shape, halvings, largest=7, least=1)
    return plan, [width_size * min(2**stage, 4) for stage in range(len(plan.factors))]


class ResidualEncoder(AbstractImageEncoder):
    """Stages of residual blocks; before each, height and width halve and channels double; then an affine map.

    As many stages as leave at most 7 points of the longest side, at least one: four at 64 x 64. Channels double up to
    four times `width_size`. Sides that do not divide are padded with zeros on the way in. A signal is a picture of one
    row, and its kernels have one.

    **Arguments:**

    - `image_shape`: `(channels, height, width)`, or `(channels, length)` of a signal.
    - `out_size`: how many numbers to make of it.
    - `width_size`: channels of the first stage.
    - `depth`: blocks in each stage.
    - `halvings`: stages, each of which halves every side that is longer than one point; chosen by size unless given.

    **Raises:** `ValueError` for another number of axes, for numbers below 1, and for more halvings than leave a single
    point.
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
        halvings: int | None = None,
        key: PRNGKeyArray,
    ):
        plan, widths = _plan("ResidualEncoder", image_shape, width_size, depth, halvings)
        stem_key, head_key, *keys = jr.split(key, 1 + len(widths) * (depth + 1))
        keys = iter(keys)
        # The first halving comes at once: blocks at full size cost most and see least.
        first, *others = plan.factors
        stem = Conv(math.prod(first) * image_shape[0], width_size, size=plan.kernel, key=stem_key)
        block = lambda width: ResidualBlock(width, size=plan.kernel, key=next(keys))
        layers = [*plan.way_in(), resize(space_to_depth, first), stem, *(block(width_size) for _ in range(depth))]
        for factors, narrow, wide in zip(others, widths, widths[1:]):
            layers += [
                resize(space_to_depth, factors),
                Conv(math.prod(factors) * narrow, wide, size=1, key=next(keys)),
            ]
            layers += [block(wide) for _ in range(depth)]
        self.stages = Sequential((*layers, jax.nn.silu))
        self.head = Linear(math.prod(plan.small) * widths[-1], out_size, key=head_key)


class ResidualDecoder(AbstractImageDecoder):
    """`ResidualEncoder` backwards: nearest-neighbour upsampling where that halves, and a crop of what it pads.

    **Arguments:** `latent_size`: dimensions of z; the others as in `ResidualEncoder`.

    **Raises:** `ValueError` as `ResidualEncoder`.
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
        halvings: int | None = None,
        key: PRNGKeyArray,
    ):
        plan, widths = _plan("ResidualDecoder", image_shape, width_size, depth, halvings)
        head_key, last_key, *keys = jr.split(key, 2 + len(widths) * (depth + 1))
        keys = iter(keys)
        self.head_shape = (*plan.small, widths[-1])
        self.head = Linear(latent_size, math.prod(self.head_shape), key=head_key)
        layers: list = []
        for factors, wide, narrow in zip(plan.factors[::-1], widths[::-1], [*widths[-2::-1], width_size], strict=True):
            layers += [ResidualBlock(wide, size=plan.kernel, key=next(keys)) for _ in range(depth)]
            before, operation = upsampling(factors)
            layers += [*before, Conv(wide, narrow, size=plan.kernel, operation=operation, key=next(keys))]
        last = Conv(width_size, image_shape[0], size=plan.kernel, key=last_key)
        self.stages = Sequential((*layers, jax.nn.silu, last, *plan.way_out()))


def residual(*, width_size: int = 32, depth: int = 1, halvings: int | None = None) -> Networks:
    """`ResidualEncoder` and `ResidualDecoder`: pictures of any size, and signals.

    **Arguments:** `width_size`, `depth`, `halvings`: as in `ResidualEncoder`.
    """
    options = dict(width_size=width_size, depth=depth, halvings=halvings)
    return Networks(partial(ResidualEncoder, **options), partial(ResidualDecoder, **options))
