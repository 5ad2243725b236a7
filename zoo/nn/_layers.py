from collections.abc import Callable
from functools import reduce, wraps
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ._partitioned import partitioned
from .convolution import conv, upsample_conv


Layer = TypeVar("Layer", bound=eqx.Module)


def lecun_normal(shape: tuple[int, ...], fan_in: int, *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    r"""Weights $\sim N(0, 1/\text{fan in})$: the variance that SELU's fixed point is derived for.

    **Arguments:** `shape`: of the weights; `fan_in`: how many inputs are added up for one output.

    Klambauer et al., "Self-Normalizing Neural Networks", 2017, section 3.
    """
    return jr.normal(key, shape) * fan_in**-0.5


class Linear(eqx.Module):
    """An affine map of a vector, initialised LeCun-normal with no bias.

    **Arguments:** `in_size`, `out_size`: dimensions of the vector and of what it becomes.
    """

    weight: Float[Array, " in_size out_size"]
    bias: Float[Array, " out_size"]

    def __init__(self, in_size: int, out_size: int, *, key: PRNGKeyArray):
        self.weight = lecun_normal((in_size, out_size), in_size, key=key)
        self.bias = jnp.zeros(out_size)

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        return x @ self.weight + self.bias


class Conv(eqx.Module):
    """A convolution of one image, zero-padded to its own size; channels last.

    **Arguments:** `channels`, `out_channels`; `size`: rows and columns of the kernel, one number where they are alike;
    `operation`: `conv`, or `upsample_conv` for twice the height and width; `use_bias`: whether to add one, which has no
    effect before a `BatchNorm`.
    """

    kernel: Float[Array, " rows columns channels out_channels"]
    bias: Float[Array, " out_channels"] | None
    operation: Callable = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        out_channels: int,
        *,
        size: int | tuple[int, int] = 3,
        operation: Callable = conv,
        use_bias: bool = True,
        key: PRNGKeyArray,
    ):
        rows, columns = (size, size) if isinstance(size, int) else size
        self.kernel = lecun_normal((rows, columns, channels, out_channels), rows * columns * channels, key=key)
        self.bias = jnp.zeros(out_channels) if use_bias else None
        self.operation = operation

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " tall wide out_channels"]:
        y = self.operation(x, self.kernel)
        return y if self.bias is None else y + self.bias[None, None]


Factors = tuple[int, int]  # along height and width


def upsample(
    x: Float[Array, " height width channels"], factors: Factors = (2, 2)
) -> Float[Array, " tall wide channels"]:
    """Repeat each pixel as a square, or another rectangle.

    **Arguments:** `x`: `(height, width, channels)`; `factors`: its rows and columns.
    """
    (height, width, channels), (down, across) = x.shape, factors
    squares = jnp.broadcast_to(x[:, None, :, None], (height, down, width, across, channels))
    return squares.reshape(down * height, across * width, channels)


def max_pool(
    x: Float[Array, " height width channels"], factors: Factors = (2, 2)
) -> Float[Array, " low narrow channels"]:
    """Keep the largest value of each square, or of each other rectangle.

    **Arguments:** `x`: `(height, width, channels)`; `factors`: rows and columns of one, which divide its sides.
    """
    (height, width, channels), (down, across) = x.shape, factors
    # Pairs, and no reduction: XLA's reduce_window costs fifteen times as much in the backward pass on a CPU, and the
    # gradient of a reduced maximum divides by how often it occurs, which is never where XLA rounds it twice.
    squares = x.reshape(height // down, down, width // across, across, channels)
    rows = reduce(jnp.maximum, [squares[:, i] for i in range(down)])
    return reduce(jnp.maximum, [rows[:, :, j] for j in range(across)])


def space_to_depth(
    x: Float[Array, " height width channels"], factors: Factors = (2, 2)
) -> Float[Array, " low narrow more"]:
    """Turn each square, or other rectangle, into one pixel of as many times the channels as it has pixels.

    Before a 1 x 1 convolution it makes a strided one.

    **Arguments:** `x`: `(height, width, channels)`; `factors`: rows and columns of one, which divide its sides.
    """
    (height, width, channels), (down, across) = x.shape, factors
    squares = x.reshape(height // down, down, width // across, across, channels).transpose(0, 2, 1, 3, 4)
    return squares.reshape(height // down, width // across, down * across * channels)


def depth_to_space(
    x: Float[Array, " low narrow more"], factors: Factors = (2, 2)
) -> Float[Array, " height width channels"]:
    """Invert `space_to_depth`: after a convolution, a sub-pixel one.

    **Arguments:** `x`: `(height, width, channels)`; `factors`: rows and columns that a pixel becomes, whose product
    divides the channels.
    """
    (height, width, channels), (down, across) = x.shape, factors
    squares = x.reshape(height, width, down, across, channels // (down * across)).transpose(0, 2, 1, 3, 4)
    return squares.reshape(down * height, across * width, channels // (down * across))


class Resize(eqx.Module):
    """`upsample`, `max_pool`, `space_to_depth` or `depth_to_space` by other factors than 2 along both sides.

    **Fields:** `operation`: one of these; `factors`: along height and width.
    """

    operation: Callable = eqx.field(static=True)
    factors: Factors = eqx.field(static=True)

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " tall wide more"]:
        return self.operation(x, self.factors)


def resize(operation: Callable, factors: Factors) -> Callable:
    """The operation as a layer: by 2 along both sides it is one already."""
    return operation if factors == (2, 2) else Resize(operation, factors)


def upsampling(factors: Factors) -> tuple[tuple[Callable, ...], Callable]:
    """The layers before a convolution that is to see its image larger, and the operation of that convolution."""
    # There is a faster form where both sides double.
    return ((), upsample_conv) if factors == (2, 2) else ((Resize(upsample, factors),), conv)


class Pad(eqx.Module):
    """Zeros around one image; channels last.

    **Fields:** `amounts`: how many at ((top, bottom), (left, right)).
    """

    amounts: tuple[tuple[int, int], tuple[int, int]] = eqx.field(static=True)

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " tall wide channels"]:
        return jnp.pad(x, (*self.amounts, (0, 0)))


class Crop(eqx.Module):
    """One image without its border; channels last.

    **Fields:** `amounts`: rows and columns to leave out at ((top, bottom), (left, right)).
    """

    amounts: tuple[tuple[int, int], tuple[int, int]] = eqx.field(static=True)

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " low narrow channels"]:
        rows, columns = (slice(a, side - b) for side, (a, b) in zip(x.shape, self.amounts))
        return x[rows, columns]


def to_row(x: Float[Array, " length channels"]) -> Float[Array, " 1 length channels"]:
    """Make a signal an image of one row; channels last.

    **Arguments:** `x`: `(length, channels)`.
    """
    return x[None]


def from_row(x: Float[Array, " 1 length channels"]) -> Float[Array, " length channels"]:
    """Make an image of one row a signal; channels last.

    **Arguments:** `x`: `(1, length, channels)`.
    """
    return x[0]


def gelu_sigmoid(x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""GELU in its sigmoid form, $x \, \sigma(1.702 x)$.

    **Arguments:** `x`: of any shape.

    Hendrycks & Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    """
    return x * jax.nn.sigmoid(1.702 * x)


# The root of 1 / Var[x sigmoid(1.702 x)] for x ~ N(0, 1).
_GELU_GAIN = 1.709358588912715


def variance_preserving_gelu(x: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""GELU in its sigmoid form times 1.709: of standard normals it keeps the variance, $\mathrm{Var}[f(x)] = 1$.

    At LeCun-normal weights what differs between examples then reaches the last layer at full size. Unscaled, GELU
    leaves 0.34 of the variance at each layer.

    **Arguments:** `x`: of any shape.

    Hendrycks & Gimpel, "Gaussian Error Linear Units", 2016, section 2; Brock, De & Smith, "Characterizing signal
    propagation to close the performance gap in unnormalized ResNets", 2021, section 4, for the gain.
    """
    return _GELU_GAIN * gelu_sigmoid(x)


def unit(x: Float[Array, " *shape size"]) -> Float[Array, " *shape size"]:
    r"""Each vector divided by its length, $x / \sqrt{\|x\|^2 + 10^{-12}}$; zeros stay, with a finite derivative.

    **Arguments:** `x`: vectors along the last axis.
    """
    return x * lax.rsqrt(jnp.sum(x**2, axis=-1, keepdims=True) + 1e-12)


def zeroed(layer: Layer) -> Layer:
    """The layer with every weight zero: what is added or multiplied by it starts as if it were not there.

    **Arguments:** `layer`: a Module.
    """
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_array(leaf) else leaf, layer)


def starting_at_zero(build: Callable[..., Any]) -> Callable[..., Any]:
    """Let what `build` builds put out zeros until it is trained, by a last layer of which every weight is zero.

    Residual networks and the decoders of codes do not start so: at zero nothing tells their many layers, or the codes,
    apart, and both learn more slowly.

    **Arguments:** `build`: such as a decoder's class, of networks of this room.
    """

    @wraps(build)
    def build_at_zero(*arguments: Any, **options: Any) -> Any:
        network = build(*arguments, **options)
        layers, structure = jax.tree.flatten(network, is_leaf=_is_layer)
        last = max(i for i, layer in enumerate(layers) if _is_layer(layer))
        layers[last] = zeroed(layers[last])
        return jax.tree.unflatten(structure, layers)

    return build_at_zero


def is_untrained(network: Any) -> bool:
    """Whether the bias of the last layer is zero, as it starts and as training does not leave it.

    **Arguments:** `network`: such as a decoder; one without a `Linear` or a `Conv` of this room counts as trained.
    """
    layers = [layer for layer in jax.tree.leaves(network, is_leaf=_is_layer) if _is_layer(layer)]
    return bool(layers) and layers[-1].bias is not None and not np.any(layers[-1].bias)


def _is_layer(node: Any) -> bool:
    return isinstance(node, Linear | Conv)


class Sequential(eqx.Module):
    """Layers called one after the other; each takes one array and returns one.

    **Fields:** `layers`: Modules and functions, the first to be called first.
    """

    layers: tuple[Callable, ...] = eqx.field(converter=lambda layers: tuple(map(partitioned, layers)))

    def __call__(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        for layer in self.layers:
            x = layer(x)
        return x
