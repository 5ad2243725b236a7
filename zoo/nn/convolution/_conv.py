import os
from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


# jax keys its caches of traced and compiled functions with this value too.
_plain = jax.make_user_context(default_value=os.environ.get("ZOO_PLAIN_CONVOLUTIONS", "0") not in ("", "0"))


def plain_convolutions() -> AbstractContextManager[None]:
    """A context in which `conv` and `upsample_conv` are XLA's own convolutions, differentiated by jax.

    The fast ones are primitives of this package. Here nothing of them is used, nor imported, so that a release of
    jax that breaks them stops nobody; and what is exported holds only operations that every reader knows. The values
    differ by rounding. On a CPU gradients take up to five times as long, and in a loop up to a hundred times
    (`benchmarks/convolution.py`).

    The environment variable `ZOO_PLAIN_CONVOLUTIONS=1`, set before `zoo.nn` is imported, does so from the start,
    in every thread. The context holds for the thread that enters it, and for what is *traced* in it: a function under
    `jax.jit` that was called before is traced and compiled anew inside, and afterwards found again as it was. What was
    compiled by hand, by `jax.jit(f).lower(x).compile()`, or pulled back by `jax.vjp`, stays what it is.

    **Returns:** the context, for `with zoo.nn.plain_convolutions():`.
    """
    return _plain(True)


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
    other platform they are XLA's own convolutions. Should a release of jax break this, `plain_convolutions`
    or the environment variable `ZOO_PLAIN_CONVOLUTIONS=1` does without it.

    **Arguments:**

    - `x`: an image, channels last.
    - `kernel`: the weights, with odd height and width.
    - `stride`: the step between outputs, in pixels, along both axes.

    **Returns:**

    The filtered image, of height and width `ceil(size / stride)`.

    **Raises:**

    - `ValueError` if the kernel's size is even.
    """
    _check_odd("conv", kernel)
    if _plain.value:
        return _plain_conv(x, kernel, stride)
    # Not imported above: what a release of jax breaks there must not stop the plain form.
    from ._fast import fast_conv

    return fast_conv(x, kernel, stride)


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
    _check_odd("upsample_conv", kernel)
    if _plain.value:
        return _plain_conv(jnp.repeat(jnp.repeat(x, 2, axis=0), 2, axis=1), kernel, 1)
    from ._fast import fast_upsample_conv

    return fast_upsample_conv(x, kernel)


def _check_odd(name: str, kernel: Array) -> None:
    height, width = kernel.shape[:2]
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(
            f"`{name}(kernel=...)` needs an odd kernel height and width, got {height} x {width}; "
            "add a row or a column of zeros"
        )


def _plain_conv(x: Array, kernel: Array, stride: int) -> Array:
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x[None], kernel, (stride, stride), "SAME", dimension_numbers=layout)[0]
