from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Array

from ._arrays import check_codes, check_columns
from ._mig import FactorGaps, factor_gaps


_MOST_CLASSES = 8


def sap(
    codes: Array | np.ndarray,
    factors: Array | np.ndarray | None,
    *,
    categorical: Sequence[int] = (),
) -> FactorGaps:
    r"""Separated attribute predictability: how much better the best single latent predicts a factor than the next.

    $$\frac1K \sum_k \left( S_{j(k) k} - \max_{j \ne j(k)} S_{jk} \right), \qquad
      S_{jk} = \frac{Cov(z_j, v_k)^2}{Var(z_j) Var(v_k)}$$

    For a categorical factor $S_{jk}$ is the balanced accuracy of the best thresholds on $z_j$, one interval to each
    class, in any order; found exactly, on the codes given, as in the paper.

    **Arguments:**

    - `codes`, `factors`: as in `mig`.
    - `categorical`: the columns of factors whose values have no order, of at most 8 values: the shape, `(0,)`, of
      `data.sprites`.

    **Returns:** `FactorGaps`, the `table` being S. A constant latent scores 0.

    **Raises:** as `mig`, and `ValueError` for a categorical column that is not there or has more than 8 values.

    Kumar et al., "Variational inference of disentangled latent concepts from unlabeled observations", 2018, section 3.
    """
    codes, factors = check_codes("sap", codes, factors, latents=2)
    scores = _squared_correlation(codes, factors)
    for k in check_columns("sap", "categorical", categorical, factors.shape[1]):
        classes = int(factors[:, k].max()) + 1
        if classes > _MOST_CLASSES:
            raise ValueError(
                f"`sap(categorical={tuple(categorical)})`: factor {k} has {classes} values, at most {_MOST_CLASSES} "
                "can be ordered in every way; leave it out of `categorical`"
            )
        scores[:, k] = [_thresholds(code, factors[:, k], classes) for code in codes.T]
    return factor_gaps(scores, scores)


def _squared_correlation(codes, factors):
    codes = codes - codes.mean(axis=0)
    factors = factors - factors.mean(axis=0)
    covariance = codes.T @ factors
    variances = np.sum(codes**2, axis=0)[:, None] * np.sum(factors**2, axis=0)[None]
    return np.where(variances > 0, covariance**2 / np.where(variances > 0, variances, 1.0), 0.0)


def _thresholds(code, factor, classes):
    """Find the best balanced accuracy of intervals, one to each class, by dynamic programming over sets of classes."""
    if np.ptp(code) == 0:
        return 0.0
    order = np.argsort(code, kind="stable")
    # A threshold lies between two different values.
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(code[order]) > 0) + 1, [len(code)]])
    hits = np.concatenate([np.zeros((1, classes)), np.cumsum(np.eye(classes)[factor[order]], axis=0)])
    hits = hits[cuts] / hits[-1]
    # best[used][t]: of all codes before cut t, in intervals of the used classes.
    best: dict[tuple[int, ...], np.ndarray] = {(): np.zeros(len(cuts))}
    best[()][1:] = -np.inf
    for size in range(1, classes + 1):
        for used in combinations(range(classes), size):
            ways = []
            for last in used:
                before = best[tuple(c for c in used if c != last)]
                ways.append(hits[:, last] + np.maximum.accumulate(before - hits[:, last]))
            best[used] = np.max(ways, axis=0)
    return float(best[tuple(range(classes))][-1]) / classes
