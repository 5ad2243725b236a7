"""Convolutions by fewer products than they have terms."""

import math
from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ._stack_parts import image_size, map_images, sum_over_images


class Algorithm(NamedTuple):
    r"""How to filter one row of a tile by as many products as the matrices have rows.

    $$y = A^T \big[ (G k) \odot (B x) \big], \qquad T(x, k, g) = \sum_t (A g)_t \, (G k)_t \, (B x)_t$$

    for k the taps of the kernel and x the inputs that the tile's outputs y see. Rows and columns of an image one after
    the other: with a kernel K and a tile X it is $Y = A^T [(G K G^T) \odot (B X B^T)] A$.

    Lavin & Gray, "Fast algorithms for convolutional neural networks", 2016, section 4.

    **Fields:** the matrices A, G and B of `outputs`, `taps` and `inputs`, one row to a product; `step`, of inputs from
    one tile to the next.
    """

    outputs: np.ndarray
    taps: np.ndarray
    inputs: np.ndarray
    step: int


def toom_cook(points: list[float]) -> Algorithm:
    """Winograd's F(4, 3): four outputs of three taps, by products of polynomials at five `points` and infinity."""
    powers = np.vander(points, 4, increasing=True)
    others = [np.delete(points, i) for i in range(5)]
    at_infinity = np.eye(1, 4, 3), np.eye(1, 3, 2)
    outputs = np.concatenate([powers, at_infinity[0]])
    taps = powers[:, :3] / [[np.prod(point - rest)] for point, rest in zip(points, others)]
    inputs = [np.append(np.poly(rest)[::-1], 0.0) for rest in others] + [np.poly(points)[::-1]]
    return Algorithm(outputs, np.concatenate([taps, at_infinity[1]]), np.stack(inputs), step=4)


# At 0, 1, -1, 2, -2, where the matrices are usually taken, rounding errors are several times as large.
FOUR_OF_THREE = toom_cook([0.0, 0.5**0.5, -(0.5**0.5), 2.0**0.5, -(2.0**0.5)])


def is_worthwhile(x, g) -> bool:
    """Return whether minimal filtering is worth its compilation for stacks of these shapes, and loses nothing."""
    # Fewer channels make the products too thin, and half precision rounds the sums and differences of pixels too much.
    return max(map(image_size, (x, g))) >= 10_000 and min(x.shape[3], g.shape[3]) >= 32 and x.dtype.itemsize >= 4


def filter_images(
    x: Float[Array, " n height width channels"],
    kernel: Float[Array, " 3 3 channels out"],
    algorithm: Algorithm,
    before: tuple[int, int],
) -> Float[Array, " n new_height new_width out"]:
    """Filter images that divide into tiles; `before`: the zeros above and on the left of them."""
    corners = x.shape[1] // algorithm.step, x.shape[2] // algorithm.step
    outputs = algorithm.outputs.shape[1]
    new_height, new_width = (outputs * n for n in corners)
    channels, out = kernel.shape[2:]
    taps = jnp.asarray(algorithm.taps, x.dtype)
    kernels = jnp.einsum("ta,sb,abco->tsco", taps, taps, kernel, precision="highest")

    def some_images(x: Array) -> Array:
        inputs = _by_matrix(algorithm.inputs, _tiles(x, corners, algorithm.inputs.shape[1], algorithm.step, before))
        products = [[a.reshape(-1, channels) @ k for a, k in zip(*rows, strict=True)] for rows in zip(inputs, kernels)]
        tiles = [[y.reshape(-1, *corners, out) for y in row] for row in _by_matrix(algorithm.outputs.T, products)]
        y = jnp.stack([jnp.stack(row, axis=3) for row in tiles], axis=2)
        return y.reshape(-1, new_height, new_width, out)

    return map_images(some_images, x, new_height * new_width * out)


def kernel_gradient(
    x: Float[Array, " n height width channels"],
    g: Float[Array, " n new_height new_width out"],
    algorithm: Algorithm,
    before: tuple[int, int],
) -> Float[Array, " 3 3 channels out"]:
    r"""The kernel's gradient given the outputs' cotangent g, of which Y is the part in a tile:

    $$G^T \Big[ \sum (B X B^T) \odot (A Y A^T) \Big] G$$

    where the sum over all tiles makes each product of numbers one of matrices, (channels, tiles) by (tiles, out).
    """
    outputs = algorithm.outputs.shape[1]
    corners = -(-g.shape[1] // outputs), -(-g.shape[2] // outputs)

    def some_images(x: Array, g: Array) -> list[list[Array]]:
        inputs = _by_matrix(algorithm.inputs, _tiles(x, corners, algorithm.inputs.shape[1], algorithm.step, before))
        cotangents = _by_matrix(algorithm.outputs, _tiles(g, corners, outputs, outputs, (0, 0)))
        flat = lambda tiles: tiles.reshape(math.prod(tiles.shape[:3]), tiles.shape[3])
        rows = zip(inputs, cotangents, strict=True)
        return [[flat(a).T @ flat(b) for a, b in zip(*row, strict=True)] for row in rows]

    products = jnp.stack([jnp.stack(row) for row in sum_over_images(some_images, x, g)])
    taps = jnp.asarray(algorithm.taps, x.dtype)
    return jnp.einsum("ta,sb,tsco->abco", taps, taps, products, precision="highest")


def _tiles(x: Array, corners: tuple[int, int], size: int, step: int, before: tuple[int, int]) -> list[list[Array]]:
    """[i][j]: pixel (i, j) of every tile of `size` x `size`, a tile beginning at every `step`th row and column."""
    after = [step * (n - 1) + size - pixels - b for n, pixels, b in zip(corners, x.shape[1:3], before)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (before[0], after[0], 0), (before[1], after[1], 0), (0, 0, 0)])
    rows, columns = (step * (n - 1) + 1 for n in corners)
    return [[x[:, i : i + rows : step, j : j + columns : step] for j in range(size)] for i in range(size)]


def _by_matrix(matrix: np.ndarray, tiles: list[list[Array]]) -> list[list[Array]]:
    """matrix @ tile @ matrix.T for tiles given pixel by pixel."""
    across = [_combinations(matrix, row) for row in tiles]
    if np.count_nonzero(matrix) > 4 * matrix.shape[1]:
        # XLA computes these sums anew wherever they are used; in more than four places that costs more than a pass.
        across = lax.optimization_barrier(across)
    return [list(row) for row in zip(*(_combinations(matrix, list(column)) for column in zip(*across)))]


def _combinations(matrix: np.ndarray, parts: list[Array]) -> list[Array]:
    return [reduce(jnp.add, [float(w) * part for w, part in zip(row, parts, strict=True) if w]) for row in matrix]
