import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ._arrays import as_pair
from ._estimate import Estimate, estimate
from ._neighbours import squared_distances
from ._parts import equal_parts


_FOR_SCALE = 500  # points of either set that the scale is judged by
_ALIVE = 2**21  # entries of the kernel's matrix alive at a time: 8 MiB


class MMDTest(NamedTuple):
    r"""The result of `mmd_test`.

    **Fields:**

    - `squared_mmd`: the unbiased estimate, and so negative at times. Its standard error is that of the points,
      $\sqrt{4 Var[h(x)] / n + 4 Var[h(y)] / m}$ with h the mean kernel of a point and the others of its set less that
      of the point and the other set; $\sqrt 2$ times too large where the distributions agree.
    - `p_value`: the part of the permutations, the data as they are among them, with an estimate as large. Its
      standard error is that of the permutations, $\sqrt{p (1 - p) / \text{permutations}}$.
    - `null`: the estimates of the permutations.
    - `scale`: of the kernel.
    """

    squared_mmd: Estimate
    p_value: Estimate
    null: Float[np.ndarray, " permutations"]
    scale: float


def mmd_test(
    xs: Array | np.ndarray,
    ys: Array | np.ndarray,
    *,
    scale: float | None = None,
    permutations: int = 500,
    progress: bool = False,
    key: PRNGKeyArray,
) -> MMDTest:
    r"""Test whether two sets of points may be of one distribution: the kernel two-sample test.

    $$\widehat{MMD}^2 = \frac{1}{n (n - 1)} \sum_{i \ne j} \kappa(x_i, x_j) + \frac{1}{m (m - 1)} \sum_{i \ne j}
      \kappa(y_i, y_j) - \frac{2}{n m} \sum_{i, j} \kappa(x_i, y_j), \qquad
      \kappa(x, y) = e^{-|x - y|^2 / 2 \sigma^2}$$

    The p-value is that of the permutation test: of the same estimate with the points dealt to the two sets at random.
    It is exact for any number of points: where the distributions agree, a p-value of at most a is met with
    probability a at most. Time grows with $(n + m)^2$, memory with $(n + m)$ times the permutations.

    **Arguments:**

    - `xs`, `ys`: `(n, ...)` and `(m, ...)`, features or images, at least two of either.
    - `scale`: $\sigma$; by default the median distance of (at most 500 of either of) all the points.
    - `permutations`: the smallest p-value is one over one more than this.
    - `progress`: whether to show a bar.
    - `key`: for the permutations.

    **Returns:** `MMDTest`.

    **Raises:** `ValueError` for points that are empty, single, not finite or of two spaces, a scale that is not above
    0, and fewer than 1 permutation.

    Gretton et al., "A kernel two-sample test", 2012, equation 3 (lemma 6) and section 8.
    """
    points, others = as_pair("mmd_test", "xs", xs, "ys", ys)
    n, m = len(points), len(others)
    if min(n, m) < 2:
        raise ValueError(f"`mmd_test`: each set needs pairs, got {n} and {m} points; pass at least 2 of each")
    check_counts("mmd_test", permutations=permutations)
    if scale is None:
        few = _centre(jnp.concatenate([points[:_FOR_SCALE], others[:_FOR_SCALE]]))
        squared = np.asarray(squared_distances(few, few))
        scale = math.sqrt(float(np.median(squared[np.triu_indices(len(few), 1)])))
        if scale == 0:
            raise ValueError("`mmd_test`: at least half of the pairs of points are equal; pass a `scale` above 0")
    if not 0 < scale < math.inf:
        raise ValueError(f"`mmd_test(scale={scale})`: the kernel needs a finite scale above 0")
    pooled = _centre(jnp.concatenate([points, others])) / scale
    deals = _deal_at_random(n, n + m, permutations, key)
    within, across, to_first, to_all = _sums(pooled, deals, "kernel" if progress else None)
    rest = np.sum(to_all) - within - 2 * across
    values = within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * across / (n * m)
    # As large up to rounding: permutations that change nothing must count.
    as_large = values[1:] >= values[0] - 1e-6
    p_value = (1 + int(np.sum(as_large))) / (1 + permutations)
    to_second = to_all - to_first
    of_xs = to_first[:n] / (n - 1) - to_second[:n] / m
    of_ys = to_second[n:] / (m - 1) - to_first[n:] / n
    error = 2 * np.hypot(estimate(of_xs).standard_error, estimate(of_ys).standard_error)
    return MMDTest(
        Estimate(values[0], error),
        Estimate(np.asarray(p_value), np.sqrt(p_value * (1 - p_value) / permutations)),
        values[1:],
        float(scale),
    )


@jax.jit
def _centre(points):
    return points - jnp.mean(points, axis=0)[None]


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _deal_at_random(n: int, count: int, permutations: int, key: PRNGKeyArray) -> Float[Array, " points deals"]:
    """Deal the points to two sets, first as they are, then at random: 1 for those of the first set."""
    first = (jnp.arange(count) < n).astype(jnp.float32)
    shuffled = lax.map(lambda key: jr.permutation(key, first), jr.split(key, permutations))
    return jnp.concatenate([first[None], shuffled]).T


def _sums(points: Float[Array, " points size"], deals: Float[Array, " points deals"], progress: str | None):
    """Sum the kernel over pairs of different points, in float64.

    For each deal it sums the pairs within the first set and those across; for each point, as the sets are, its pairs
    with the first set and with all. A constant is taken off the kernel, which the estimate does not see: it keeps the
    sums small.
    """
    count = len(points)
    within, across = np.zeros(deals.shape[1]), np.zeros(deals.shape[1])
    to_first, to_all = np.zeros(count), np.zeros(count)
    for index, present in equal_parts(count, max(_ALIVE // count, 1), progress):
        sums = _part_sums(points, deals, jnp.asarray(index), jnp.asarray(present))
        within += np.asarray(sums[0], np.float64)
        across += np.asarray(sums[1], np.float64)
        to_first[index[present]], to_all[index[present]] = (np.asarray(each)[present] for each in sums[2:])
    return within, across, to_first, to_all


@jax.jit
def _part_sums(points, deals, index, present):
    kernel = jnp.exp(-0.5 * squared_distances(points[index], points)) - math.exp(-0.5)
    pairs = present[:, None] & (index[:, None] != jnp.arange(len(points), dtype=jnp.int32)[None, :])
    kernel = jnp.where(pairs, kernel, 0)
    first = deals[index]
    to_first = jnp.matmul(kernel, deals, precision=lax.Precision.HIGHEST)
    within = jnp.sum(first * to_first, axis=0)
    across = jnp.sum((1 - first) * to_first, axis=0)
    return within, across, to_first[:, 0], jnp.sum(kernel, axis=1)
