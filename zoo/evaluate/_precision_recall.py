from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array

from .._checks import check_counts
from ._arrays import as_pair
from ._estimate import Estimate, estimate
from ._neighbours import count_within, nearest


class PrecisionRecall(NamedTuple):
    """The result of `precision_recall`.

    **Fields:** `precision`: the part of the samples that lie among the real points; `recall`: the part of the real
    points that lie among the samples. Each with the standard error of its points, the other set held fixed.
    """

    precision: Estimate
    recall: Estimate


class DensityCoverage(NamedTuple):
    """The result of `density_coverage`.

    **Fields:** `density`: how many balls of real points a sample lies in, over k, 1 on average where the two are
    alike, and no limit above; `coverage`: the part of the real balls with a sample in them. Each with the standard
    error of its points, the other set held fixed.
    """

    density: Estimate
    coverage: Estimate


def precision_recall(
    real: Array | np.ndarray, samples: Array | np.ndarray, *, k: int = 3, progress: bool = False
) -> PrecisionRecall:
    r"""Measure how much of what a model draws looks real, and how much of what is real it draws.

    $$f(x, \Phi) = \mathbb{1}\left[\exists \phi \in \Phi: |x - \phi| \le |\phi - NN_k(\phi, \Phi)|\right], \qquad
      \text{precision} = \frac1m \sum_j f(y_j, X), \quad \text{recall} = \frac1n \sum_i f(x_i, Y)$$

    for real X and samples Y: each set's support is taken as the balls round its points that reach to their k-th
    neighbours. Alike sets score the same, but not 1. One outlier with a large ball raises the other side's score: see
    `density_coverage`.

    **Arguments:**

    - `real`, `samples`: `(n, ...)` and `(m, ...)`, features such as `fashion_features` gives, or images. Take as
      many of one as of the other.
    - `k`: neighbours, less than either number.
    - `progress`: whether to show a bar of each pass.

    **Returns:** `PrecisionRecall`.

    **Raises:** `ValueError` for points that are empty, not finite or of two spaces, and for k out of range.

    Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", 2019, equations 1
    and 2.
    """
    points, others = as_pair("precision_recall", "real", real, "samples", samples)
    _check_k("precision_recall", k, real=points, samples=others)
    precise = count_within(others, points, _radii(points, k, progress), progress=_bar(progress)) > 0
    recalled = count_within(points, others, _radii(others, k, progress), progress=_bar(progress)) > 0
    return PrecisionRecall(estimate(precise.astype(np.float64)), estimate(recalled.astype(np.float64)))


def density_coverage(
    real: Array | np.ndarray, samples: Array | np.ndarray, *, k: int = 5, progress: bool = False
) -> DensityCoverage:
    r"""Measure precision and recall in a form that an outlier does not spoil.

    $$\text{density} = \frac{1}{km} \sum_j \sum_i \mathbb{1}[y_j \in B_i], \qquad
      \text{coverage} = \frac1n \sum_i \mathbb{1}[\exists j: y_j \in B_i]$$

    for real $x_i$, samples $y_j$ and the ball $B_i$ round $x_i$ that reaches to its k-th neighbour among the real
    points. For alike sets of equal, large size the density is 1 on average and the coverage about $1 - 2^{-k}$.

    **Arguments:** as in `precision_recall`; k less than the number of real points.

    **Returns:** `DensityCoverage`.

    **Raises:** as `precision_recall`.

    Naeem et al., "Reliable fidelity and diversity metrics for generative models", 2020, equations 3 and 5.
    """
    points, others = as_pair("density_coverage", "real", real, "samples", samples)
    _check_k("density_coverage", k, real=points)
    radii = _radii(points, k, progress)
    density = count_within(others, points, radii, progress=_bar(progress)) / k
    covered = nearest(points, others, 1, progress=_bar(progress))[0][:, 0] <= radii
    return DensityCoverage(estimate(density), estimate(covered.astype(np.float64)))


def _radii(points, k, progress):
    return nearest(points, points, k, others=True, progress=_bar(progress))[0][:, -1]


def _bar(progress):
    return "neighbours" if progress else None


def _check_k(call: str, k: int, **sets: Any) -> None:
    check_counts(call, k=k)
    for name, points in sets.items():
        if k >= len(points):
            raise ValueError(
                f"`{call}(k={k})`: each of the {len(points)} points of `{name}` needs k others; pass more points, or k "
                f"from 1 to {len(points) - 1}"
            )
