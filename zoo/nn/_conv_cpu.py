import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


LAYOUT = ("NHWC", "HWIO", "NHWC")
Padding = tuple[tuple[int, int], tuple[int, int]]

# What is read at a time should fit in a core's second cache, often 1 or 2 MiB: at 28 x 28, 64 channels to 64, the
# direct form is two and a half times as fast with 4 images as with 16. Fewer than 4 make its convolution too narrow.
_CACHE = 2**20


def cpu_weight_gradient(
    x: Float[Array, " n height width channels"],
    g: Float[Array, " n new_height new_width out"],
    *,
    padding: Padding,
) -> Float[Array, " kernel_height kernel_width channels out"]:
    r"""The derivative of a convolution in its kernel, given the output's cotangent g.

    $$G_{abco} = \sum_{n,i,j} x_{n,\, i + a - p,\, j + b - q,\, c} \, g_{nijo}$$

    Autodiff writes it as one convolution of all images in a layout that is slow (and, in a loop, slower by a hundred
    times). Here both operands are turned into a fast form, a few images at a time so that they are still in the cache
    when they are used: 3 x 3 kernels between many channels into `_minimal`, the others into `_direct`.
    """
    size = x.shape[1] + sum(padding[0]) - g.shape[1] + 1, x.shape[2] + sum(padding[1]) - g.shape[2] + 1
    # For less work than this what is saved is not worth its compilation; and fewer channels make its products too thin.
    worth_it = max(map(_image_size, (x, g))) >= 10_000 and min(x.shape[3], g.shape[3]) >= 32
    # Sums and differences of pixels would be rounded too much in half precision.
    exact = x.dtype.itemsize >= 4
    return (_minimal if size == (3, 3) and worth_it and exact else _direct)(x, g, padding)


def _direct(x: Array, g: Array, padding: Padding) -> Array:
    """A convolution too, in which the channels of x are the batch, the images the channels, and g the kernel."""
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

    return _sum_over_images(some_images, x, g).transpose(1, 2, 0, 3)


def _minimal(x: Array, g: Array, padding: Padding) -> Array:
    r"""Winograd's minimal filtering F(4 x 4, 3 x 3): 36 products for each 4 x 4 outputs in place of 144.

    One row of a tile, four outputs of three taps from six inputs, is $y = A^T[(G k) \odot (B^T x)]$; with rows and
    columns of a tile X and the cotangent Y of its outputs, the kernel's gradient is therefore

    $$G^T \Big[ \sum (B^T X B) \odot (A Y A^T) \Big] G$$

    where the sum over all tiles makes each of the 36 products a product of matrices, (channels, tiles) by (tiles, out).

    Lavin & Gray, "Fast algorithms for convolutional neural networks", 2016, section 4.3.
    """
    (top, _), (left, _) = padding
    _, height, width, _ = g.shape
    corners = -(-height // 4), -(-width // 4)

    def some_images(x: Array, g: Array) -> list[list[Array]]:
        inputs = _by_matrix(_B.T, _tiles(x, corners, 6, (top, left)))
        outputs = _by_matrix(_A, _tiles(g, corners, 4, (0, 0)))
        flat = lambda tiles: tiles.reshape(math.prod(tiles.shape[:3]), tiles.shape[3])
        return [[flat(a).T @ flat(b) for a, b in zip(*rows, strict=True)] for rows in zip(inputs, outputs, strict=True)]

    products = jnp.stack([jnp.stack(row) for row in _sum_over_images(some_images, x, g)])
    transform = jnp.asarray(_G, x.dtype)
    return jnp.einsum("ta,sb,tsco->abco", transform, transform, products, precision="highest")


def _toom_cook(points: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, G and B of four outputs from three taps, by products of polynomials at five `points` and infinity."""
    powers = np.vander(points, 4, increasing=True)
    others = [np.delete(points, i) for i in range(5)]
    at_infinity = np.eye(1, 4, 3), np.eye(1, 3, 2)
    outputs = np.concatenate([powers, at_infinity[0]])
    taps = powers[:, :3] / [[np.prod(point - rest)] for point, rest in zip(points, others)]
    inputs = [np.append(np.poly(rest)[::-1], 0.0) for rest in others] + [np.poly(points)[::-1]]
    return outputs, np.concatenate([taps, at_infinity[1]]), np.stack(inputs, axis=1)


# At 0, 1, -1, 2, -2, where the matrices are usually taken, rounding errors are several times as large.
_A, _G, _B = _toom_cook([0.0, 0.5**0.5, -(0.5**0.5), 2.0**0.5, -(2.0**0.5)])


def _tiles(x: Array, corners: tuple[int, int], size: int, before: tuple[int, int]) -> list[list[Array]]:
    """[i][j]: pixel (i, j) of every tile of `size` x `size`, the tiles beginning at every fourth row and column."""
    after = [4 * (n - 1) + size - pixels - b for n, pixels, b in zip(corners, x.shape[1:3], before)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (before[0], after[0], 0), (before[1], after[1], 0), (0, 0, 0)])
    rows, columns = (4 * (n - 1) + 1 for n in corners)
    return [[x[:, i : i + rows : 4, j : j + columns : 4] for j in range(size)] for i in range(size)]


def _by_matrix(matrix: np.ndarray, tiles: list[list[Array]]) -> list[list[Array]]:
    """matrix @ tile @ matrix.T for tiles given pixel by pixel."""
    across = [_combinations(matrix, row) for row in tiles]
    return [list(row) for row in zip(*(_combinations(matrix, list(column)) for column in zip(*across)))]


def _combinations(matrix: np.ndarray, parts: list[Array]) -> list[Array]:
    return [reduce(jnp.add, [float(w) * part for w, part in zip(row, parts, strict=True) if w]) for row in matrix]


def _image_size(x: Array) -> int:
    return math.prod(x.shape[1:])


def _sum_over_images(some_images: Callable, x: Array, g: Array) -> Any:
    n = x.shape[0]
    fitting = _CACHE // ((_image_size(x) + _image_size(g)) * x.dtype.itemsize)
    images = min(n, max(power for power in (4, 8, 16) if power <= max(fitting, 4)))
    parts = n // max(images, 1)
    part = lambda start, images: some_images(*(lax.dynamic_slice_in_dim(a, start, images) for a in (x, g)))
    add = lambda i, total: jax.tree.map(jnp.add, total, part(i * images, images))
    # The part that is left over may be empty: then it is the zero that the sum begins with.
    return lax.fori_loop(0, parts, add, part(parts * images, n - parts * images))
