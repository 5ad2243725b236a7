import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._conv_primitive import conv_stack


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
        raise ValueError(
            f"`conv(kernel=...)` needs an odd kernel height and width, got {kernel_height} x {kernel_width}; "
            "pad the kernel with a row or column of zeros"
        )
    if stride == 1:
        padding = _same(kernel_height), _same(kernel_width)
        return conv_stack(x[None], kernel, padding)[0]
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
    weights fall together depends on the output's parity only, so the four parities are four convolutions
    of the small image, of size $(n + 1) / 2 + (n + 1)/2 \bmod 2$ at most for a kernel of size n: for
    3 x 3, four 2 x 2 kernels and 16/36 of the products.

    **Arguments:**

    - `x`: an image, channels last.
    - `kernel`: the weights, with odd height and width.

    **Returns:**

    The filtered image, of twice the height and width.

    **Raises:**

    - `ValueError` if the kernel's size is even.
    """
    return conv(jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1), kernel)


def _same(size: int) -> tuple[int, int]:
    return size // 2, size // 2


def _fit(x: Array, before: tuple[int, int], sizes: tuple[int, int]) -> Array:
    """`x` with zeros before its two leading axes, then zeros or a cut behind to reach `sizes`."""
    padding = [(b, n - b - s, 0) for b, n, s in zip(before, sizes, x.shape)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), padding + [(0, 0, 0)] * (x.ndim - 2))
