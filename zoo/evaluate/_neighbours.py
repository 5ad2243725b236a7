import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ._parts import equal_parts, part_size


_ROWS, _COLUMNS = 512, 4096  # distances alive at a time: 8 MiB
_SLACK = 1e-5  # a point at exactly the radius is within it, however its distance was rounded


def nearest(
    queries: Float[Array, " n size"],
    points: Float[Array, " m size"],
    k: int,
    *,
    others: bool = False,
    progress: str | None = None,
) -> tuple[Float[np.ndarray, " n k"], Int[np.ndarray, " n k"]]:
    """Find the k nearest points of each query, the nearest first: Euclidean distances, and places among the points.

    Memory does not grow with n times m. The distances are of the differences themselves: 0 for equal rows.

    **Arguments:** `others`: the queries are the points, and none is its own neighbour; `progress`: a bar's text.
    """
    centre = jnp.mean(points, axis=0)
    padded, present = _in_parts(points - centre[None])
    distances, places = [], []
    for index, _ in equal_parts(len(queries), _ROWS, progress):
        rows = queries[index]
        own = index if others else np.full_like(index, -1)
        place = _nearest(rows - centre[None], padded, present, jnp.asarray(own), k)
        distance, place = _measure(rows, points, place)
        distances.append(distance)
        places.append(place)
    n = len(queries)
    return np.concatenate(distances)[:n], np.concatenate(places)[:n]


def count_within(
    queries: Float[Array, " n size"],
    points: Float[Array, " m size"],
    radii: Float[np.ndarray, " m"],
    *,
    progress: str | None = None,
) -> Int[np.ndarray, " n"]:
    """Count the points within whose radius each query lies; the edge is included in spite of rounding.

    Equal rows have the distance 0, however it was rounded: of points that are repeated the radius may be 0.
    """
    centre = jnp.mean(points, axis=0)
    own, others = _number_rows(np.asarray(queries), np.asarray(points))
    padded, present = _in_parts(points - centre[None])
    limits = np.square(np.pad(radii, (0, present.size - len(radii)))) * (1 + _SLACK)
    limits = jnp.asarray(limits, points.dtype).reshape(present.shape)
    others = jnp.asarray(np.pad(others, (0, present.size - len(others)))).reshape(present.shape)
    counts = []
    for index, _ in equal_parts(len(queries), _ROWS, progress):
        rows = queries[index] - centre[None]
        counts.append(np.asarray(_count(rows, jnp.asarray(own[index]), padded, present, others, limits)))
    return np.concatenate(counts)[: len(queries)]


def _number_rows(xs: np.ndarray, ys: np.ndarray) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Number the rows of both so that equal ones have the same number."""
    both = np.ascontiguousarray(np.concatenate([xs, ys]) + 0.0)  # -0.0 is 0.0
    rows = both.view(np.dtype((np.void, both.dtype.itemsize * both.shape[1]))).reshape(-1)
    numbers = np.unique(rows, return_inverse=True)[1].astype(np.int32)
    return numbers[: len(xs)], numbers[len(xs) :]


def _in_parts(
    points: Float[Array, " m size"],
) -> tuple[Float[Array, " parts columns size"], Bool[Array, " parts columns"]]:
    m, size = points.shape
    columns = part_size(m, _COLUMNS)
    count = -(-m // columns)
    padded = jnp.pad(points, ((0, count * columns - m), (0, 0)))
    return padded.reshape(count, columns, size), (jnp.arange(count * columns) < m).reshape(count, columns)


@jax.jit
def squared_distances(xs: Float[Array, " n size"], ys: Float[Array, " m size"]) -> Float[Array, " n m"]:
    """Compute all squared distances by a product of matrices, which is accurate where the rows are near the origin."""
    product = jnp.matmul(xs, ys.T, precision=lax.Precision.HIGHEST)
    norms = jnp.sum(xs**2, axis=1)[:, None] + jnp.sum(ys**2, axis=1)[None, :]
    return jnp.maximum(norms - 2 * product, 0)


@functools.partial(jax.jit, static_argnums=4)
def _nearest(rows, parts, present, own, k):
    columns = parts.shape[1]

    def body(best, part):
        points, present, start = part
        place = start + jnp.arange(columns, dtype=jnp.int32)
        usable = present[None, :] & (place[None, :] != own[:, None])
        distance = jnp.where(usable, squared_distances(rows, points), jnp.inf)
        distances = jnp.concatenate([best[0], distance], axis=1)
        places = jnp.concatenate([best[1], jnp.broadcast_to(place[None], distance.shape)], axis=1)
        least, order = lax.top_k(-distances, k)
        return (-least, jnp.take_along_axis(places, order, axis=1)), None

    none = (jnp.full((len(rows), k), jnp.inf, rows.dtype), jnp.zeros((len(rows), k), jnp.int32))
    starts = columns * jnp.arange(len(parts), dtype=jnp.int32)
    return lax.scan(body, none, (parts, present, starts))[0][1]


@jax.jit
def _measure(rows, points, places):
    distances = lax.map(lambda pair: jnp.linalg.norm(points[pair[1]] - pair[0][None], axis=1), (rows, places))
    order = jnp.argsort(distances, axis=1)
    return jnp.take_along_axis(distances, order, axis=1), jnp.take_along_axis(places, order, axis=1)


@jax.jit
def _count(rows, own, parts, present, numbers, limits):
    def body(count, part):
        points, present, number, limit = part
        equal = own[:, None] == number[None, :]
        within = present[None, :] & (equal | (squared_distances(rows, points) <= limit[None, :]))
        return count + jnp.sum(within, axis=1, dtype=jnp.int32), None

    return lax.scan(body, jnp.zeros(len(rows), jnp.int32), (parts, present, numbers, limits))[0]
