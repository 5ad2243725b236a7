from collections.abc import Mapping
from typing import Any

import numpy as np

from ._canvas import PALETTE, canvas, open_axes


def draw_points(groups: Mapping[str, np.ndarray], *, title: str, ax: Any) -> tuple[Any, Any]:
    """Draws points in the plane, one colour and marker to a group, with equal scales on both axes."""
    figure, ax = canvas(ax, width=5.0, height=5.0)
    for (name, points), colour, marker in zip(groups.items(), (PALETTE[0], PALETTE[2]), ("o", "x"), strict=False):
        size = float(np.clip(4000 / len(points), 3, 24))
        ax.scatter(*points.T, s=size, color=colour, marker=marker, linewidths=0.8, alpha=0.6, label=name)
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(title, fontsize="medium")
    if len(groups) > 1:
        ax.legend(loc="upper right", fontsize="small")
    open_axes(ax)
    return figure, ax
