from collections.abc import Mapping
from typing import Any

import numpy as np

from ._canvas import PALETTE, Numbers, canvas, open_axes


_MARKED = 12  # points, up to which each is marked and named on the axis
_COLOURS = (0, 2, 4, 6, 8)  # of the palette: the dark ones
_LINES = ("-", "--", "-.", ":", (0, (3.5, 0.9, 0.9, 0.9, 0.9, 0.9)))


def curves(
    xs: Numbers,
    ys: Mapping[str, Numbers],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    log_x: bool = False,
    log_y: bool = False,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draws several quantities against one, each with its colour and its kind of line.

    Where there are few points, each is marked. A value that is not finite leaves a gap.

    **Arguments:**

    - `xs`: `(n,)`, in the order in which they are joined.
    - `ys`: what each curve is, and its n values.
    - `xlabel`, `ylabel`: what the axes show, with the unit.
    - `title`: what is seen.
    - `log_x`, `log_y`: `True` for a logarithmic axis.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for no curve, another number of values than of xs, or a curve with nothing to draw.
    """
    xs = np.asarray(xs, np.float64)
    columns = {name: np.asarray(values, np.float64) for name, values in ys.items()}
    if xs.ndim != 1 or not columns or any(values.shape != xs.shape for values in columns.values()):
        raise ValueError(
            f"`curves` needs at least one curve, and a value for each of xs, got shape {xs.shape} and "
            f"{ {name: values.shape for name, values in columns.items()} }"
        )
    visible = np.isfinite(xs) & (xs > 0 if log_x else True)
    figure, ax = canvas(ax)
    for turn, (name, values) in enumerate(columns.items()):
        shown = visible & np.isfinite(values) & (values > 0 if log_y else True)
        if not shown.any():
            raise ValueError(
                f"`curves(ys)`: no value of {name!r} can be drawn; leave it out, or draw no logarithm of it"
            )
        ax.plot(
            xs,
            np.where(shown, values, np.nan),
            color=PALETTE[_COLOURS[turn % 5]],
            linestyle=_LINES[turn % 5],
            marker="os^Dv"[turn % 5] if len(xs) <= _MARKED else None,
            linewidth=1.8,
            label=name,
        )
    if log_x:
        ax.set_xscale("log")
    if log_y:
        ax.set_yscale("log")
    if len(xs) <= _MARKED:
        ax.set_xticks(xs, [f"{x:g}" for x in xs])
        ax.minorticks_off()
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title, fontsize="medium")
    if len(columns) > 1:
        ax.legend(loc="best", fontsize="small")
    open_axes(ax)
    return figure, ax
