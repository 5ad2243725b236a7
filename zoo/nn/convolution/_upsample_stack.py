import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._minimal_filtering import Algorithm, filter_images, is_worthwhile, kernel_gradient
from ._primitive import Derivative, trilinear
from ._stack import conv_stack


def upsample_stack(
    xs: Float[Array, " n height width channels"], kernel: Float[Array, " kernel_height kernel_width channels out"]
) -> Float[Array, " n 2*height 2*width out"]:
    """Filter a stack of images at twice their size, every pixel repeated 2 x 2, with an odd kernel."""
    return _three_by_three(xs, kernel) if kernel.shape[:2] == (3, 3) else _four_convolutions(xs, kernel)


def _four_convolutions(x: Array, kernel: Array) -> Array:
    """Which weights fall together depends only on the parity of an output's row and column: four small convolutions,
    interleaved; a kernel of size n becomes four of size (n + 1) / 2.
    """
    rows, columns = ([_parity(size, parity) for parity in (0, 1)] for size in kernel.shape[:2])

    def output(row: tuple[np.ndarray, tuple[int, int]], column: tuple[np.ndarray, tuple[int, int]]) -> Array:
        sums = [jnp.asarray(taps, kernel.dtype) for taps in (row[0], column[0])]
        return conv_stack(x, jnp.einsum("td,se,deco->tsco", *sums, kernel), (row[1], column[1]))

    y = jnp.stack([jnp.stack([output(row, column) for column in columns], axis=3) for row in rows], axis=2)
    return y.reshape(x.shape[0], 2 * x.shape[1], 2 * x.shape[2], -1)


def _parity(size: int, parity: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Which small pixel, counted from the first one needed, each of `size` taps falls on; and the padding.

    Output 2 i + parity looks at the copies 2 i + parity + tap - size // 2, each of small pixel copy // 2.
    """
    offsets = (np.arange(size) + parity - size // 2) // 2
    first, last = offsets[0], offsets[-1]
    return np.arange(first, last + 1)[:, None] == offsets, (-int(first), int(last))


# Along an axis, with s = k0 + k1 + k2, small pixel u_i leaves the outputs s u_i + k0 (u_{i-1} - u_i) and
# s u_i + k2 (u_{i+1} - u_i): three products in place of four, 9 of 16 for both axes.
_TAPS = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 1]])
UP = Algorithm(np.array([[1, 0], [1, 1], [0, 1]]), _TAPS, np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]), step=1)
# The image's gradient by the same products: u_i meets the cotangents of 2 i - 1 to 2 i + 2.
DOWN = Algorithm(np.ones((3, 1)), _TAPS, np.array([[0, -1, 0, 1], [0, 1, 1, 0], [1, 0, -1, 0]]), step=2)


def _forward_shape(x, kernel):
    return x.shape[0], 2 * x.shape[1], 2 * x.shape[2], kernel.shape[3]


def _image_gradient_shape(kernel, g):
    return g.shape[0], g.shape[1] // 2, g.shape[2] // 2, kernel.shape[2]


def _kernel_gradient_shape(x, g):
    return 3, 3, x.shape[3], g.shape[3]


def _image_gradient(kernel, g):
    x = jax.typeof(g).update(shape=_image_gradient_shape(kernel, g))
    return jax.linear_transpose(lambda x: _four_convolutions(x, kernel), x)(g)[0]


def _kernel_gradient(x, g):
    kernel = jax.typeof(g).update(shape=_kernel_gradient_shape(x, g))
    return jax.linear_transpose(lambda kernel: _four_convolutions(x, kernel), kernel)(g)[0]


def _cpu_forward(x, kernel):
    large = jax.typeof(x).update(shape=_forward_shape(x, kernel))
    return filter_images(x, kernel, UP, (1, 1)) if is_worthwhile(x, large) else _four_convolutions(x, kernel)


def _cpu_image_gradient(kernel, g):
    small = jax.typeof(g).update(shape=_image_gradient_shape(kernel, g))
    return (
        filter_images(g, kernel.swapaxes(2, 3), DOWN, (1, 1)) if is_worthwhile(small, g) else _image_gradient(kernel, g)
    )


def _cpu_kernel_gradient(x, g):
    return kernel_gradient(x, g, UP, (1, 1)) if is_worthwhile(x, g) else _kernel_gradient(x, g)


_three_by_three = trilinear(
    "zoo_upsample_conv",
    forward=Derivative(_forward_shape, _four_convolutions, _cpu_forward),
    image_gradient=Derivative(_image_gradient_shape, _image_gradient, _cpu_image_gradient),
    kernel_gradient=Derivative(_kernel_gradient_shape, _kernel_gradient, _cpu_kernel_gradient),
)
