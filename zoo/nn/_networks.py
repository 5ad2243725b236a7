import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ._halvings import Halvings, plan_halvings
from ._layers import Conv, Linear, Sequential, max_pool, resize, starting_at_zero, upsampling
from ._norm import AxisNames, normalisation
from .convolution import conv


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
        starting_at_zero(lambda in_size, out_shape, *, key: hidden((in_size,), out_shape, key=key)),
    )


def convolutional(*, width_size: int = 32, depth: int | None = None, norm: str = "none") -> Networks:
    """`ConvEncoder` and `ConvDecoder`: pictures of any size, and signals.

    **Arguments:** `width_size`, `depth`, `norm`: as in `ConvEncoder`.
    """
    options = dict(width_size=width_size, depth=depth, norm=norm)
    return Networks(partial(ConvEncoder, **options), starting_at_zero(partial(ConvDecoder, **options)))


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
    kernel: tuple[int, int],
    key: PRNGKeyArray,
) -> list[Callable]:
    """Convolutions from `sizes[0]` channels to `sizes[-1]`, each normalised and activated; the first by `operation`."""
    layers = []
    for a, b, key in zip(sizes[:-1], sizes[1:], jr.split(key, len(sizes) - 1), strict=True):
        # `BatchNorm` takes a bias off again, but not before XLA has written the sum out: a tenth of a step.
        convolution = Conv(a, b, size=kernel, operation=operation, use_bias=norm != "batch", key=key)
        layers += [convolution, *normalisation(norm, b, axis_names), activation]
        operation = conv
    return layers


def stage_widths(call: str, plan: Halvings, width_size: int) -> list[int]:
    """The channels of each stage, the first first: `width_size`, twice as many, and so on up to four times as many."""
    check_counts(call, width_size=width_size)
    return [width_size * min(n, 4) for n in range(1, len(plan.factors) + 1)]


def pooled_stages(
    plan: Halvings, channels: int, widths: list[int], norm: str, *, keys: Sequence[PRNGKeyArray]
) -> list[Callable]:
    """Two convolutions and a max-pool for each stage, the largest first."""
    layers = [*plan.way_in()]
    for factors, width, key in zip(plan.factors, widths, keys, strict=True):
        sizes = (channels, width, width)
        layers += [*stage(conv, sizes, norm, ("batch",), kernel=plan.kernel, key=key), resize(max_pool, factors)]
        channels = width
    return layers


def upsampling_stages(
    plan: Halvings, channels: int, widths: list[int], norm: str, *, keys: Sequence[PRNGKeyArray]
) -> list[Callable]:
    """Upsampling and two convolutions for each stage, the smallest first, and a convolution to `channels`.

    The stage at full size has twice the width of the one before.
    """
    *keys, last_key = keys
    layers, full = [], 2 * widths[0]
    outs = [full, *widths[:-1]]
    for factors, width, out, key in zip(plan.factors[::-1], widths[::-1], outs[::-1], keys, strict=True):
        before, operation = upsampling(factors)
        convolutions = stage(operation, (width, out, out), norm, ("batch", "k"), kernel=plan.kernel, key=key)
        layers += [*before, *convolutions]
    return [*layers, Conv(full, channels, size=plan.kernel, key=last_key), *plan.way_out()]


class AbstractImageEncoder(eqx.Module):
    """Stages that take a picture or a signal with its channels last, then an affine map of all that they leave."""

    stages: eqx.AbstractVar[Sequential]
    head: eqx.AbstractVar[Linear]

    def __call__(self, x: Float[Array, " channels *sides"]) -> Float[Array, " out_size"]:
        # Channels go last at the door: XLA's convolutions are fast in loops only in that layout.
        return self.head(self.stages(jnp.moveaxis(x, 0, -1)).reshape(-1))


class AbstractImageDecoder(eqx.Module):
    """An affine map to a small image of shape `head_shape`, channels last, then stages that make the data of it."""

    head: eqx.AbstractVar[Linear]
    stages: eqx.AbstractVar[Sequential]
    head_shape: eqx.AbstractVar[tuple[int, int, int]]

    def __call__(self, z: Float[Array, " latent"]) -> Float[Array, " channels *sides"]:
        return jnp.moveaxis(self.stages(self.head(z).reshape(self.head_shape)), -1, 0)


class ConvEncoder(AbstractImageEncoder):
    """Stages of two 3 x 3 convolutions and a 2 x 2 max-pool each, then an affine map.

    As many stages as leave at most 8 points of the longest side, but two: 28 x 28 becomes 7 x 7. Their widths are
    `width_size`, twice as many and so on, up to four times as many. Sides that do not divide are padded with zeros on
    the way in. A signal is a picture of one row, and its kernels have one.

    **Arguments:**

    - `image_shape`: `(channels, height, width)`, or `(channels, length)` of a signal.
    - `out_size`: how many numbers to make of it.
    - `width_size`: channels of the first stage.
    - `depth`: stages, each of which halves every side that is longer than one point; chosen by size unless given.
    - `norm`: after each convolution: "none", "group" (`GroupNorm`) or "batch" (`BatchNorm`).

    **Raises:** `ValueError` for another number of axes, sizes, a width or a depth below 1, and more stages than leave a
    single point.
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
        plan = plan_halvings("ConvEncoder", image_shape, depth)
        widths = stage_widths("ConvEncoder", plan, width_size)
        *keys, head_key = jr.split(key, len(widths) + 1)
        self.stages = Sequential(tuple(pooled_stages(plan, image_shape[0], widths, norm, keys=keys)))
        self.head = Linear(math.prod(plan.small) * widths[-1], out_size, key=head_key)


class ConvDecoder(AbstractImageDecoder):
    """An affine map to small images, then stages of upsampling and two 3 x 3 convolutions each.

    As many as `ConvEncoder` has, mirrored, but that the last has twice the width of the one before. What was padded
    there is cropped here, so that nothing stands for it in the data's density.

    **Arguments:** `latent_size`: dimensions of z; the others as in `ConvEncoder`.

    **Raises:** `ValueError` as `ConvEncoder`.
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
        plan = plan_halvings("ConvDecoder", image_shape, depth)
        widths = stage_widths("ConvDecoder", plan, width_size)
        head_key, *keys = jr.split(key, len(widths) + 2)
        self.head_shape = (*plan.small, widths[-1])
        self.head = Linear(latent_size, math.prod(self.head_shape), key=head_key)
        self.stages = Sequential(tuple(upsampling_stages(plan, image_shape[0], widths, norm, keys=keys)))
