from typing import Any

import numpy as np

from ._canvas import PALETTE, Numbers, canvas, open_axes


def sweep(
    values: Numbers,
    means: Numbers,
    errors: Numbers | None = None,
    *,
    name: str = "value",
    label: str = "mean",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draws what was measured of several runs against the number in which they differ.

    The horizontal axis is logarithmic where the values are positive and span a decade. Called again with the `ax` it
    returned, it adds another curve in another colour and marker.

    **Arguments:**

    - `values`: the number of each run.
    - `means`: what was measured of each, in nats per example; a run that is not finite is left out.
    - `errors`: the standard errors, drawn as bars; none unless given.
    - `name`: what the number is.
    - `label`: what was measured.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for sequences of different lengths, or no run that is finite.
    """
    values, means = np.asarray(values, np.float64), np.asarray(means, np.float64)
    errors = np.zeros_like(means) if errors is None else np.asarray(errors, np.float64)
    if values.ndim != 1 or not values.shape == means.shape == errors.shape:
        raise ValueError(
            "`sweep` needs one mean (and error, if any) for each value, got shapes "
            f"{values.shape}, {means.shape} and {errors.shape}"
        )
    finite = np.isfinite(means)
    if not finite.any():
        raise ValueError(f"`sweep(means)`: none of the {len(means)} runs is finite; there is nothing to draw")
    values, means, errors = (column[finite][np.argsort(values[finite])] for column in (values, means, errors))
    figure, ax = canvas(ax)
    turn = len(ax.containers)
    ax.errorbar(
        values,
        means,
        yerr=errors if errors.any() else None,
        color=PALETTE[(0, 2, 4, 6)[turn % 4]],
        marker="os^D"[turn % 4],
        linewidth=1.5,
        capsize=3,
        label=f"{label} \N{PLUS-MINUS SIGN} one standard error" if errors.any() else label,
    )
    if values[0] > 0 and values[-1] >= 10 * values[0]:
        ax.set_xscale("log")
    else:
        ax.set_xticks(np.unique(values) if len(values) <= 12 else ax.get_xticks())
    ax.set(xlabel=name, ylabel="nats per example")
    ax.set_title(f"Held-out examples against {name}", fontsize="medium")
    ax.legend(loc="best", fontsize="small")
    open_axes(ax)
    return figure, ax
