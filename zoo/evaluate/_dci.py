from collections.abc import Sequence
from typing import NamedTuple

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ._arrays import check_codes, check_columns


_SWEEPS = 1000
_TOLERANCE = 1e-10
_STANDARD_ERRORS = 3  # that noise comes to once in many hundred factors


class DCI(NamedTuple):
    """The result of `dci`.

    **Fields:**

    - `disentanglement`, `completeness`: from 0 to 1.
    - `informativeness`: the prediction error on held-out codes, the root of the mean square over a factor's standard
      deviation, averaged over the factors: 0 where they are known exactly, 1 where the codes say nothing.
    - `importance`: R, of each latent for each factor, `(latents, factors)`; 0 for a factor that nothing predicts.
    - `errors`: the prediction error of each factor.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Float[np.ndarray, " latents factors"]
    errors: Float[np.ndarray, " factors"]


def dci(
    codes: Array | np.ndarray,
    factors: Array | np.ndarray | None,
    *,
    categorical: Sequence[int] = (),
    penalty: int | float = 0.01,
    key: PRNGKeyArray,
) -> DCI:
    r"""Measure disentanglement, completeness and informativeness by a lasso from the codes to each factor.

    With R the size of the lasso's weights, D latents, K factors,

    $$P_{ij} = R_{ij} / \sum_k R_{ik}, \quad D_i = 1 - H_K(P_{i \cdot}), \quad
      D = \sum_i \frac{\sum_j R_{ij}}{\sum_{ij} R_{ij}} D_i; \qquad
      \tilde P_{ij} = R_{ij} / \sum_k R_{kj}, \quad C_j = 1 - H_D(\tilde P_{\cdot j}), \quad C = \frac1K \sum_j C_j$$

    with entropies H to the base K and D. The predictor is the paper's first, $\min_w \frac{1}{2n} |y - Zw|^2 +
    \lambda |w|_1$ on codes and factors of variance 1; a categorical factor is predicted as the indicators of its
    values, and their weights are added up. A factor that nothing predicts has weights 0 and counts $C_j = 0$: one
    with a prediction error of 1 or more, or whose held-out covariance with its prediction is not above 0 by three
    standard errors. The few weights of noise that a penalty leaves would look like order. Being linear, it finds a
    factor that the codes wind up, such as an angle, uninformative.

    **Arguments:**

    - `codes`, `factors`: as in `mig`; at least two of either. Three quarters fit the lasso, one measures the error.
    - `categorical`: the columns of factors whose values have no order; `(0,)` for `data.sprites`.
    - `penalty`: $\lambda$. Weights of noise are about $n^{-1/2}$; a larger penalty makes them 0.
    - `key`: for the split.

    **Raises:** as `mig`, and `ValueError` for a single factor, fewer than 8 rows or a negative penalty.

    Eastwood & Williams, "A framework for the quantitative evaluation of disentangled representations", 2018,
    section 2.
    """
    zs, factors = check_codes("dci", codes, factors, latents=2)
    if factors.shape[1] < 2:
        raise ValueError("`dci(factors)` compares factors and needs at least 2, got 1; use a probe of this factor")
    if len(zs) < 8:
        raise ValueError(f"`dci(codes)`: got {len(zs)} rows, at least 8 are needed to fit and to test; pass more")
    if not 0 <= penalty < float("inf"):
        raise ValueError(f"`dci(penalty={penalty})`: the penalty of the weights must be a finite number >= 0")
    columns = check_columns("dci", "categorical", categorical, factors.shape[1])
    order = np.asarray(jr.permutation(key, len(zs)))
    fitted, tested = order[len(zs) // 4 :], order[: len(zs) // 4]
    mean, scale = zs[fitted].mean(axis=0), zs[fitted].std(axis=0)
    zs = (zs - mean) / np.where(scale > 0, scale, 1.0)
    importance, errors = [], []
    for k, factor in enumerate(factors.T):
        target = np.eye(int(factor.max()) + 1)[factor] if k in columns else factor[:, None].astype(np.float64)
        centre, spread = target[fitted].mean(axis=0), target[fitted].std(axis=0)
        target = (target - centre) / np.where(spread > 0, spread, 1.0)
        weights = lasso(zs[fitted], target[fitted], penalty)
        truth, predicted = target[tested], zs[tested] @ weights
        errors.append(np.sqrt(np.sum((truth - predicted) ** 2) / np.sum(truth**2)))
        known = errors[-1] < 1 and _is_positive(np.sum(truth * predicted, axis=1))
        importance.append(np.abs(weights).sum(axis=1) * known)
    return _scores(np.stack(importance, axis=1), np.array(errors))


def lasso(
    xs: Float[np.ndarray, " n in_size"], ys: Float[np.ndarray, " n out_size"], penalty: float
) -> Float[np.ndarray, " in_size out_size"]:
    """Find the weights with the least squared error and absolute sum, for each column of ys, by coordinate descent."""
    n = len(xs)
    gram, moments = xs.T @ xs / n, xs.T @ ys / n
    weights = np.zeros_like(moments)
    for _ in range(_SWEEPS):
        before = weights.copy()
        for i in np.flatnonzero(np.diagonal(gram) > 0):
            pull = moments[i] - gram[i] @ weights + gram[i, i] * weights[i]
            weights[i] = np.sign(pull) * np.maximum(np.abs(pull) - penalty, 0.0) / gram[i, i]
        if np.max(np.abs(weights - before)) < _TOLERANCE:
            break
    return weights


def _is_positive(values):
    """Say whether independent values are above 0 in the mean, beyond the chance of their draw."""
    return float(values.mean()) > _STANDARD_ERRORS * float(np.std(values)) / np.sqrt(len(values) - 1)


def _scores(importance, errors):
    of_latents, of_factors = importance.sum(axis=1), importance.sum(axis=0)
    total = max(float(of_latents.sum()), np.finfo(np.float64).tiny)
    each = _concentration(importance, axis=1)
    disentanglement = float(np.sum(of_latents / total * each))
    completeness = np.where(of_factors > 0, _concentration(importance, axis=0), 0.0)
    return DCI(disentanglement, float(completeness.mean()), float(errors.mean()), importance, errors)


def _concentration(importance, axis):
    """Compute 1 minus the entropy of the shares along an axis; the logarithm's base is the axis's length."""
    sums = importance.sum(axis=axis, keepdims=True)
    shares = importance / np.where(sums > 0, sums, 1.0)
    terms = np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1.0)), 0.0)
    return 1 + terms.sum(axis=axis) / np.log(importance.shape[axis])
