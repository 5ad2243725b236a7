import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._stack import conv_stack
from ._upsample_stack import upsample_stack


def conv(
    x: Float[Array, " height width channels"],
    kernel: Float[Array, " kernel_height kernel_width channels out"],
    stride: int = 1,
) -> Float[Array, " new_height new_width out"]:
    r"""The cross-correlation of one image with a kernel, zero-padded so that stride 1 keeps the size.

    $$y_{ijo} = \sum_{a,b,c} x_{si + a - p,\, sj + b - q,\, c} \, K_{abco}$$

    with stride $s$ and the padding $(p, q)$ that XLA calls `"SAME"`. Batches are `jax.vmap`: however
    many maps are nested, the images arrive as one stack at one convolution. Forward-mode, reverse-mode
    and higher derivatives, and per-example gradients `vmap(grad(f))`, are all defined. On a CPU the
    gradients take a form that XLA runs at full speed also inside `scan`, `fori_loop` and `map`; on every
    other platform they are XLA's own convolutions.

    **Arguments:**

    - `x`: an image, channels last.
    - `kernel`: the weights, with odd height and width.
    - `stride`: the step between outputs, in pixels, along both axes.

    **Returns:**

    The filtered image, of height and width `ceil(size / stride)`.

    **Raises:**

    - `ValueError` if the kernel's size is even.
    """
    kernel_height, kernel_width, channels, out = kernel.shape
    if kernel_height % 2 == 0 or kernel_width % 2 == 0:
        raise ValueError(_even("conv", kernel))
    if stride == 1:
        above, left = kernel_height // 2, kernel_width // 2
        return conv_stack(x[None], kernel, ((above, above), (left, left)))[0]
    if kernel_height == kernel_width == 1:
        return conv(x[::stride, ::stride], kernel)
    # A strided convolution is a dense one on the image of stride x stride blocks, whose pixels are
    # channels; the kernel grows by zeros to whole blocks.
    height, width, _ = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    blocks_high, blocks_wide = -(-kernel_height // stride), -(-kernel_width // stride)
    top = max((rows - 1) * stride + kernel_height - height, 0) // 2
    left = max((columns - 1) * stride + kernel_width - width, 0) // 2
    x = _fit(x, (top, left), ((rows + blocks_high - 1) * stride, (columns + blocks_wide - 1) * stride))
    kernel = _fit(kernel, (0, 0), (blocks_high * stride, blocks_wide * stride))
    x = x.reshape(rows + blocks_high - 1, stride, columns + blocks_wide - 1, stride, channels)
    x = x.transpose(0, 2, 1, 3, 4).reshape(rows + blocks_high - 1, columns + blocks_wide - 1, -1)
    kernel = kernel.reshape(blocks_high, stride, blocks_wide, stride, channels, out)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(blocks_high, blocks_wide, -1, out)
    return conv_stack(x[None], kernel, ((0, 0), (0, 0)))[0]


def upsample_conv(
    x: Float[Array, " height width channels"],
    kernel: Float[Array, " kernel_height kernel_width channels out"],
) -> Float[Array, " 2*height 2*width out"]:
    r"""`conv` of the image at twice its size, every pixel repeated 2 x 2, without building that image.

    An output pixel sees each small pixel through the sum of the weights that fall on its copies. Which
    weights fall together depends only on the parity of its row and column, so the result is four small
    convolutions, interleaved; a kernel of size n becomes four of size (n + 1) / 2. For 3 x 3 that is four
    2 x 2 kernels and 16/36 of the products; on a CPU, where there are channels enough, 9/36 by sharing some.

    **Arguments:**

    - `x`: an image, channels last.
    - `kernel`: the weights, with odd height and width.

    **Returns:**

    The filtered image, of twice the height and width.

    **Raises:**

    - `ValueError` if the kernel's size is even.
    """
    kernel_height, kernel_width = kernel.shape[:2]
    if kernel_height % 2 == 0 or kernel_width % 2 == 0:
        raise ValueError(_even("upsample_conv", kernel))
    return upsample_stack(x[None], kernel)[0]


def _even(name: str, kernel: Array) -> str:
    return (
        f"`{name}(kernel=...)` needs an odd kernel height and width, got {kernel.shape[0]} x {kernel.shape[1]}; "
        "add a row or a column of zeros"
    )


def _fit(x: Array, before: tuple[int, int], sizes: tuple[int, int]) -> Array:
    """`x` with zeros before its two leading axes, then zeros or a cut behind to reach `sizes`."""
    padding = [(b, n - b - s, 0) for b, n, s in zip(before, sizes, x.shape)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), padding + [(0, 0, 0)] * (x.ndim - 2))
