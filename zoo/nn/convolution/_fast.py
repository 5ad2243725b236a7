import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._stack import conv_stack
from ._upsample_stack import upsample_stack


def fast_conv(x: Array, kernel: Array, stride: int) -> Array:
    """`conv` of one image, by a primitive of its own."""
    kernel_height, kernel_width, channels, out = kernel.shape
    if stride == 1:
        above, left = kernel_height // 2, kernel_width // 2
        return conv_stack(x[None], kernel, ((above, above), (left, left)))[0]
    if kernel_height == kernel_width == 1:
        return fast_conv(x[::stride, ::stride], kernel, 1)
    # A strided convolution is a dense one on the image of stride x stride squares, whose pixels are
    # channels; the kernel grows by zeros to whole squares.
    height, width, _ = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    squares_high, squares_wide = -(-kernel_height // stride), -(-kernel_width // stride)
    top = max((rows - 1) * stride + kernel_height - height, 0) // 2
    left = max((columns - 1) * stride + kernel_width - width, 0) // 2
    x = _fit(x, (top, left), ((rows + squares_high - 1) * stride, (columns + squares_wide - 1) * stride))
    kernel = _fit(kernel, (0, 0), (squares_high * stride, squares_wide * stride))
    x = x.reshape(rows + squares_high - 1, stride, columns + squares_wide - 1, stride, channels)
    x = x.transpose(0, 2, 1, 3, 4).reshape(rows + squares_high - 1, columns + squares_wide - 1, -1)
    kernel = kernel.reshape(squares_high, stride, squares_wide, stride, channels, out)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(squares_high, squares_wide, -1, out)
    return conv_stack(x[None], kernel, ((0, 0), (0, 0)))[0]


def fast_upsample_conv(x: Array, kernel: Array) -> Array:
    """`upsample_conv` of one image, by a primitive of its own."""
    return upsample_stack(x[None], kernel)[0]


def _fit(x: Array, before: tuple[int, int], sizes: tuple[int, int]) -> Array:
    """`x` with zeros before its two leading axes, then zeros or a cut behind to reach `sizes`."""
    padding = [(b, n - b - s, 0) for b, n, s in zip(before, sizes, x.shape)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), padding + [(0, 0, 0)] * (x.ndim - 2))
