from collections.abc import Callable
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import check_counts
from ._estimate import Estimate


def estimate_metric(
    metric: Callable[..., Any],
    *sets: tuple[Array | np.ndarray, ...],
    groups: int = 10,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Estimate:
    r"""Compute a metric of whole sets of rows, with its standard error by the jackknife: each group is left out once.

    $$\sqrt{\frac{g - 1}{g} \sum_{i=1}^g (\theta_{-i} - \bar\theta)^2}$$

    for the metric $\theta_{-i}$ without group i of g. Rows are dealt to the groups at random, as evenly as can be. For
    metrics that are smooth in each row's weight, such as `mig`, `sap`, `dci`, `modularity`, `frechet_distance`; not for
    those made of nearest neighbours, which bring their own.

        estimate_metric(lambda codes, factors: mig(codes, factors).score, (codes, factors), key=key)
        estimate_metric(frechet_distance, (real,), (samples,), key=key)

    **Arguments:**

    - `metric`: a function of the arrays, in order, to a number, or to several in a sequence.
    - `sets`: one tuple for each set of independent rows, of the arrays that share these rows.
    - `groups`: g; the metric is computed g + 1 times.
    - `progress`: whether to show a bar.
    - `key`: for the deal.

    **Returns:** the metric of all rows, and its standard error; of several, arrays of both.

    **Raises:** `ValueError` for fewer than 2 groups, fewer rows than groups, and arrays of one set with different
    numbers of rows.

    Tukey, "Bias and confidence in not quite large samples", 1958; Shao & Wu, "A general theory for jackknife variance
    estimation", 1989, for groups.
    """
    from tqdm import tqdm

    check_counts("estimate_metric", groups=groups, at_least=2)
    rows = []
    for i, arrays in enumerate(sets):
        lengths = [len(array) for array in arrays]
        if len(set(lengths)) != 1:
            raise ValueError(
                f"`estimate_metric`: the arrays of set {i} have {lengths} rows; pass arrays with the same rows"
            )
        if lengths[0] < groups:
            raise ValueError(
                f"`estimate_metric(groups={groups})`: set {i} has {lengths[0]} rows; pass at least one a group"
            )
        rows.append(np.array_split(np.asarray(jr.permutation(jr.fold_in(key, i), lengths[0])), groups))
    values = []
    for group in tqdm(range(groups), unit=" groups", desc="groups left out", disable=not progress):
        kept = [np.sort(np.concatenate(dealt[:group] + dealt[group + 1 :])) for dealt in rows]
        parts = [array[index] for arrays, index in zip(sets, kept, strict=True) for array in arrays]
        values.append(np.asarray(metric(*parts), np.float64))
    whole = np.asarray(metric(*(array for arrays in sets for array in arrays)), np.float64)
    return Estimate(whole, np.asarray(np.sqrt((groups - 1) * np.var(values, axis=0))))
