import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ._minimal_filtering import FOUR_OF_THREE, is_worthwhile, kernel_gradient
from ._primitive import Derivative, trilinear
from ._stack_parts import sum_over_images


LAYOUT = ("NHWC", "HWIO", "NHWC")
Padding = tuple[tuple[int, int], tuple[int, int]]


def conv_stack(
    xs: Float[Array, " n height width channels"],
    kernel: Float[Array, " kernel_height kernel_width channels out"],
    padding: Padding,
) -> Float[Array, " n new_height new_width out"]:
    """Filter a stack of images with stride 1, zero-padded by `padding` = ((top, bottom), (left, right))."""
    return _convolution(xs, kernel, padding=padding)


def _sizes(sizes, kernel_sizes, padding):
    """Height and width that a kernel leaves of an image, or a filtered image of the kernel."""
    return tuple(n + sum(p) - m + 1 for n, p, m in zip(sizes, padding, kernel_sizes))


def _forward_shape(x, kernel, *, padding):
    return x.shape[0], *_sizes(x.shape[1:3], kernel.shape[:2], padding), kernel.shape[3]


def _image_gradient_shape(kernel, g, *, padding):
    return g.shape[0], *_sizes(g.shape[1:3], kernel.shape[:2], _rest(padding, kernel)), kernel.shape[2]


def _kernel_gradient_shape(x, g, *, padding):
    return *_sizes(x.shape[1:3], g.shape[1:3], padding), x.shape[3], g.shape[3]


def _forward(x, kernel, *, padding):
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=LAYOUT)


def _image_gradient(kernel, g, *, padding):
    return _forward(g, kernel[::-1, ::-1].swapaxes(2, 3), padding=_rest(padding, kernel))


def xla_kernel_gradient(x, g, *, padding):
    # Channels of x are the batch of this convolution and the images its channels.
    return lax.conv_general_dilated(x, g, (1, 1), padding, dimension_numbers=("CHWN", "IHWO", "HWNC"))


def _rest(padding, kernel):
    (top, bottom), (left, right) = padding
    height, width = kernel.shape[0] - 1, kernel.shape[1] - 1
    return (height - top, height - bottom), (width - left, width - right)


def cpu_kernel_gradient(
    x: Float[Array, " n height width channels"],
    g: Float[Array, " n new_height new_width out"],
    *,
    padding: Padding,
) -> Float[Array, " kernel_height kernel_width channels out"]:
    r"""The derivative of a convolution in its kernel, given the output's cotangent g.

    $$G_{abco} = \sum_{n,i,j} x_{n,\, i + a - p,\, j + b - q,\, c} \, g_{nijo}$$

    Autodiff writes it as one convolution of all images in a layout that is slow (and, in a loop, slower by a hundred
    times). Here both operands are turned into a fast form, a few images at a time so that they are still in the cache
    when they are used: 3 x 3 kernels between many channels into minimal filtering F(4 x 4, 3 x 3), 36 products for each
    4 x 4 outputs in place of 144, the others into `_direct`.
    """
    size = x.shape[1] + sum(padding[0]) - g.shape[1] + 1, x.shape[2] + sum(padding[1]) - g.shape[2] + 1
    if size == (3, 3) and is_worthwhile(x, g):
        return kernel_gradient(x, g, FOUR_OF_THREE, (padding[0][0], padding[1][0]))
    return _direct(x, g, padding)


def _direct(x: Array, g: Array, padding: Padding) -> Array:
    """Compute it by a convolution: the channels of x are its batch, the images its channels, and g its kernel."""
    channels, out = x.shape[3], g.shape[3]
    (top, bottom), (left, right) = padding
    if out < channels:
        # The kernel of the fast convolution should be the wide one: exchange the operands.
        height = x.shape[1] + top + bottom - g.shape[1]
        width = x.shape[2] + left + right - g.shape[2]
        swapped = (height - top, height - bottom), (width - left, width - right)
        return _direct(g, x, swapped)[::-1, ::-1].swapaxes(2, 3)

    def some_images(x: Array, g: Array) -> Array:
        # Padded by hand: a kernel larger than the unpadded image leaves XLA's fast path.
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
        images, height, width, _ = x.shape
        # (n, h, w, c) to (c, h, w, n) in two steps, the first a plain matrix transpose: a quarter faster than one.
        x = x.reshape(images, height * width * channels).T
        x = x.reshape(height, width, channels, images).transpose(2, 0, 1, 3)
        return lax.conv_general_dilated(x, g.transpose(1, 2, 0, 3), (1, 1), "VALID", dimension_numbers=LAYOUT)

    return sum_over_images(some_images, x, g).transpose(1, 2, 0, 3)


_convolution = trilinear(
    "zoo_conv",
    forward=Derivative(_forward_shape, _forward, _forward),
    image_gradient=Derivative(_image_gradient_shape, _image_gradient, _image_gradient),
    kernel_gradient=Derivative(_kernel_gradient_shape, xla_kernel_gradient, cpu_kernel_gradient),
)
