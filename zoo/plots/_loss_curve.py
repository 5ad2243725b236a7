from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._canvas import PALETTE, canvas, number, open_axes


def loss_curve(history: Sequence[Mapping[str, Any]], *, ax: Any = None) -> tuple[Any, Any]:
    """Draws how training went: minus the loss of every step, and the held-out objective.

    The line is the running median of the faint steps around it. The first steps are often a thousand times
    worse than the rest, so the vertical axis shows the range reached after a tenth of the run; where the
    first step lies below, the legend gives its value.

    **Arguments:**

    - `history`: as `zoo.fit` returns it: rows with `split="train"`, `step` and `loss`, and rows with
      `split="held_out"`, `step` and `objective`, in nats per example.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` where the history holds no training step.
    """
    train = [(row["step"], -row["loss"]) for row in history if row["split"] == "train"]
    held_out = [(row["step"], row["objective"]) for row in history if row["split"] == "held_out"]
    if not train:
        raise ValueError(
            f'`loss_curve(history)` found no row with split="train" among {len(history)}; '
            "pass the `.history` that `fit` returns"
        )
    low, high = _limits(np.array(train + held_out, np.float64))
    steps, values = np.array(train, np.float64).T
    name = "training batches, running median"
    if values[0] < low:
        name += f"\n(first step: {number(values[0], ',.0f')})"
    figure, ax = canvas(ax)
    ax.plot(steps, values, color=PALETTE[0], alpha=0.25, linewidth=0.8)
    ax.plot(steps, running_median(values), color=PALETTE[0], linewidth=1.8, label=name)
    if held_out:
        points = np.array(held_out, np.float64).T
        ax.plot(*points, color=PALETTE[2], marker="o", linewidth=1, label="held-out examples")
    ax.set_ylim(low, high)
    ax.locator_params(axis="x", nbins=6, integer=True)
    ax.set(xlabel="step", ylabel="objective (nats per example)")
    ax.set_title("Training: the objective, to be maximised", fontsize="medium")
    ax.legend(loc="lower right", frameon=False)
    open_axes(ax)
    return figure, ax


def running_median(values: np.ndarray) -> np.ndarray:
    """The median of the fiftieth of the run around each value (fewer at the ends)."""
    half = max(len(values) // 100, 2)
    padded = np.pad(values, half, constant_values=np.nan)
    return np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)


def _limits(points: np.ndarray) -> tuple[float, float]:
    """The range of what comes after a tenth of the run, but for the outermost hundredth of it."""
    steps, values = points[np.isfinite(points[:, 1])].T
    late = values[steps >= steps.min() + 0.1 * np.ptp(steps)]
    low, high = np.quantile(late, [0.01, 0.99])
    margin = 0.08 * (high - low) or max(0.01 * abs(high), 1e-3)
    return low - margin, high + margin
