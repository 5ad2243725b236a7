from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ._arrays import as_pair


_ROWS = 8192  # summed in float32 before they join the float64 sum


def frechet_distance(xs: Array | np.ndarray, ys: Array | np.ndarray) -> float:
    r"""The squared Fréchet distance of two normals with the moments of two sets of points.

    $$|\mu_x - \mu_y|^2 + \mathrm{tr}\left(\Sigma_x + \Sigma_y - 2 (\Sigma_x \Sigma_y)^{1/2}\right)$$

    **It is no FID**, which is this distance between features of the Inception network and cannot be compared: give
    it `fashion_features` of the images, or raw pixels. From n points of either set it is too large by an amount that
    falls like 1 / n: compare sets of equal sizes only. `estimate_metric` gives its standard error.

    **Arguments:** `xs`, `ys`: `(n, ...)` and `(m, ...)`, features or images, more points than features for the
    covariances to be regular, and at least two.

    **Returns:** the distance, 0 for equal moments.

    **Raises:** `ValueError` for points that are empty, single, not finite or of two spaces.

    Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017,
    equation 6, after Dowson & Landau, 1982.
    """
    points, others = as_pair("frechet_distance", "xs", xs, "ys", ys)
    for name, found in (("xs", points), ("ys", others)):
        if len(found) < 2:
            raise ValueError(f"`frechet_distance({name})`: a covariance needs at least 2 points, got {len(found)}")
    (mean, covariance), (other_mean, other_covariance) = _moments(points), _moments(others)
    # The trace of the root is the sum of the singular values of the product of any roots: nothing is squared.
    product = _root(covariance).T @ _root(other_covariance)
    trace = np.trace(covariance) + np.trace(other_covariance) - 2 * np.linalg.svd(product, compute_uv=False).sum()
    return float(np.sum((mean - other_mean) ** 2) + max(trace, 0.0))


def _moments(points: Float[Array, " n size"]) -> tuple[Any, Any]:
    """Mean and covariance: products in float32 of centred points, sums in float64."""
    n, size = points.shape
    parts = [points[start : start + _ROWS] for start in range(0, n, _ROWS)]
    mean = sum(np.asarray(jnp.mean(part, axis=0), np.float64) * len(part) for part in parts) / n
    total, moment = np.zeros(size), np.zeros((size, size))
    for part in parts:
        linear, square = _sums(part, jnp.asarray(mean, points.dtype))
        total += np.asarray(linear, np.float64)
        moment += np.asarray(square, np.float64)
    # What the rounded mean has left over.
    rest = total / n
    return np.asarray(jnp.asarray(mean, points.dtype), np.float64) + rest, (moment - n * np.outer(rest, rest)) / (n - 1)


@jax.jit
def _sums(points, mean):
    centred = points - mean[None]
    return jnp.sum(centred, axis=0), jnp.matmul(centred.T, centred, precision=lax.Precision.HIGHEST)


def _root(covariance: Float[np.ndarray, " size size"]) -> Float[np.ndarray, " size size"]:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[None]
