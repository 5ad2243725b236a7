from typing import Any

import numpy as np
from jaxtyping import Float

from ._canvas import PALETTE, canvas, number, text_scale
from ._tiles import Layout, tile


def draw_examples(
    examples: Float[np.ndarray, " n channels *sides"],
    layout: Layout,
    ax: Any,
    *,
    title: str,
    left: float = 0.1,
    bottom: float = 0.1,
) -> tuple[Any, Any]:
    """Draws examples without scales: pictures as one array of tiles, signals as lines.

    `left` and `bottom` are room for labels in inches, where the figure is new and text has its default size.
    """
    low, high = float(np.nanmin(examples)), float(np.nanmax(examples))
    if examples.ndim == 3:
        title += f"\neach cell from {number(low, '.3g')} to {number(high, '.3g')}"
    # 0.55 inches for a tile; more where there are few or they are wide, less where the figure would outgrow a page, or
    # be so wide that its labels are small where it is fitted into a column.
    aspect = layout.width / layout.height
    most = min(6.0 / layout.columns, 9.0 * aspect / layout.rows)
    side = np.clip(3.2 / layout.columns, 0.55 * max(1.0, aspect), most)
    width = float(side * layout.columns)
    height = width * layout.size[0] / layout.size[1]
    scale, lines = text_scale(), title.split("\n")
    width = scale * left + max(width, scale * 0.075 * max(map(len, lines))) + 0.1
    figure, ax = canvas(ax, width=width, height=scale * (bottom + 0.15 + 0.2 * len(lines)) + height)
    if examples.ndim == 3:
        _draw_lines(examples, layout, ax, low, high)
    else:
        ax.imshow(tile(examples, layout), cmap="gray", vmin=0.0, vmax=1.0)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_title(title, fontsize="medium")
    return figure, ax


def _draw_lines(signals: np.ndarray, layout: Layout, ax: Any, low: float, high: float) -> None:
    """Draws each signal in its cell, a line to a channel, all on one scale. What is NaN leaves its cell empty."""
    from matplotlib.collections import LineCollection, PolyCollection

    shown = ~np.isnan(signals).all(axis=(1, 2))
    corners = np.array([(left, top) for top in layout.tops for left in layout.lefts])[: len(signals)][shown] - 0.5
    frame = np.array([(0, 0), (layout.width, 0), (layout.width, layout.height), (0, layout.height)])
    ax.add_collection(PolyCollection(list(corners[:, None] + frame), facecolors="#f2f2f2", edgecolors="none"))
    across = np.linspace(0.02, 0.98, signals.shape[2]) * layout.width
    down = (0.94 - 0.88 * (signals[shown] - low) / max(high - low, 1e-30)) * layout.height
    for channel in range(signals.shape[1]):
        points = np.stack(np.broadcast_arrays(across, down[:, channel]), axis=-1)
        colour = PALETTE[2 * channel % len(PALETTE)]
        ax.add_collection(LineCollection(list(corners[:, None] + points), colors=colour, linewidths=0.8))
    height, width = layout.size
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
