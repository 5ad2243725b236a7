from jax import lax
from jaxtyping import Array, Float


_IMAGES = 16


def weight_gradient(
    x: Float[Array, " n height width channels"],
    g: Float[Array, " n new_height new_width out"],
    *,
    padding: tuple[tuple[int, int], tuple[int, int]],
) -> Float[Array, " kernel_height kernel_width channels out"]:
    n, channels, out = x.shape[0], x.shape[3], g.shape[3]
    if out < channels:
        (top, bottom), (left, right) = padding
        height, width = x.shape[1] + top + bottom - g.shape[1], x.shape[2] + left + right - g.shape[2]
        swapped = (height - top, height - bottom), (width - left, width - right)
        return weight_gradient(g, x, padding=swapped)[::-1, ::-1].swapaxes(2, 3)

    def some(start, images):
        x_some, g_some = (lax.dynamic_slice_in_dim(a, start, images) for a in (x, g))
        return lax.conv_general_dilated(
            x_some.transpose(3, 1, 2, 0),
            g_some.transpose(1, 2, 0, 3),
            (1, 1),
            padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    rest = n % _IMAGES or min(_IMAGES, n)
    total = some(n - rest, rest)
    if n > rest:
        total = lax.fori_loop(0, (n - rest) // _IMAGES, lambda i, t: t + some(i * _IMAGES, _IMAGES), total)
    return total.transpose(1, 2, 0, 3)
