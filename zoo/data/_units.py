import numpy as np
from jaxtyping import Array, Float

from .._checks import check_counts
from ..likelihoods import Units, thin


def units(xs: Array | np.ndarray, *, rows: int = 10_000) -> Units:
    r"""Find what data are measured in: the shift and the scale of each column, for a model's `units=`.

    The shift is the median, the scale the interquartile range over 1.349, which is the standard deviation of a normal
    and which no outlier moves. Where more than half of a column is one value the scale is the standard deviation, and 1
    where the column never varies. Data with more axes have one shift and scale to a channel, and those within [0, 1]
    have pixels for their units: shift 0, scale 1.

    ```python
    model = zoo.MLPVAE(30, 8, likelihood=likelihoods.gaussian_learned, units=zoo.data.units(xs), key=key)
    ```

    `zoo.fit` does the same for a model that was built without.

    **Arguments:**

    - `xs`: examples along the first axis: floats, counts, booleans, bytes.
    - `rows`: at most so many examples are looked at, evenly spaced.

    **Returns:** `Units`.

    **Raises:** `ValueError` for no examples, and for numbers that are not finite.
    """
    check_counts("data.units", rows=rows)
    if np.ndim(xs) < 2 or len(xs) == 0:
        raise ValueError(f"`data.units(xs)` needs examples along the first axis, got shape {np.shape(xs)}")
    chosen = thin(xs, rows)
    values = chosen.astype(np.float64)
    if not np.isfinite(values).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ValueError(f"`data.units(xs)` needs finite numbers, got {values[where]} at index {where}; repair it")
    if values.ndim > 2:
        if chosen.dtype == np.uint8 or (values.min() >= 0 and values.max() <= 1):
            one_to_a_channel = (1,) * (values.ndim - 1)
            return Units(np.zeros(one_to_a_channel), np.ones(one_to_a_channel), chosen)
        # As columns: one for each channel.
        values = np.moveaxis(values, 1, -1).reshape(-1, values.shape[1])
    low, shift, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
    spread = values.std(axis=0)
    scale = np.where(high > low, (high - low) / 1.349, np.where(spread > 0, spread, 1.0))
    channels = (-1,) + (1,) * (chosen.ndim - 2)
    return Units(shift.reshape(channels), scale.reshape(channels), chosen)


def find_grid(xs: Array | np.ndarray) -> Float[np.ndarray, " columns"]:
    """Find the grid on which a table's columns were rounded: the distance of its points, and 0 where there is none.

    A column is on a grid if most of its values occur more than once and all are whole multiples of the smallest
    difference apart. A density of such numbers has no bound: pass `functools.partial(zoo.data.dequantise, step=...)`.

    **Arguments:** `xs`: `(n, columns)`.
    """
    values = thin(xs, 2000).astype(np.float64)
    return np.array([_find_step(column) for column in values.T])


def _find_step(column: np.ndarray) -> float:
    distinct = np.unique(column[np.isfinite(column)])
    if len(distinct) < 2 or 2 * len(distinct) > len(column):
        return 0.0
    gaps = np.diff(distinct)
    step = gaps.min()
    # float32 has rounded the values themselves.
    tolerance = 1e-2 + 4 * np.finfo(np.float32).eps * np.abs(distinct).max() / step
    return float(step) if tolerance < 0.3 and np.all(np.abs(gaps / step - np.round(gaps / step)) < tolerance) else 0.0
