from jax import lax
from jaxtyping import Array, Float

from ._cpu import LAYOUT, Padding, cpu_kernel_gradient
from ._primitive import Derivative, trilinear


def conv_stack(
    xs: Float[Array, " n height width channels"],
    kernel: Float[Array, " kernel_height kernel_width channels out"],
    padding: Padding,
) -> Float[Array, " n new_height new_width out"]:
    """A stack of images filtered with stride 1, zero-padded by `padding` = ((top, bottom), (left, right))."""
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


_convolution = trilinear(
    "zoo_conv",
    forward=Derivative(_forward_shape, _forward, _forward),
    image_gradient=Derivative(_image_gradient_shape, _image_gradient, _image_gradient),
    kernel_gradient=Derivative(_kernel_gradient_shape, xla_kernel_gradient, cpu_kernel_gradient),
)
