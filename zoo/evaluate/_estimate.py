from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float


class Estimate(NamedTuple):
    """A mean over examples and its standard error, both of the shape of one example's value.

    **Fields:** `mean`; `standard_error`: NaN where there is only one example to judge by.
    """

    mean: Float[np.ndarray, " ..."]
    standard_error: Float[np.ndarray, " ..."]


def estimate(values: Float[Array | np.ndarray, " n ..."]) -> Estimate:
    r"""Estimate the mean over the examples, with its standard error $\sqrt{Var[v] / n}$, in float64.

    **Arguments:** `values`: as `log_likelihood`, `bound` and the other functions of `zoo.evaluate` return them.
    The error is that of the examples being a sample; an estimate's own noise is in it as far as it varies
    from one example to the next.
    """
    values = np.asarray(values, np.float64)
    n = len(values)
    if n == 1:
        return Estimate(values[0], np.full(values.shape[1:], np.nan))
    return Estimate(np.mean(values, axis=0), np.std(values, axis=0, ddof=1) / np.sqrt(n))


def estimate_each(record: Any, names: Sequence[str]) -> dict[str, Estimate]:
    """Estimate the mean over the examples of each of a record's fields and properties in `names`."""
    return {name: estimate(getattr(record, name)) for name in names}
