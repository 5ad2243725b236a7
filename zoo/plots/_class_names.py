from collections.abc import Sequence
from typing import Any

import numpy as np

from ._canvas import PALETTE, text_scale


def write_names(ax: Any, points: np.ndarray, classes: np.ndarray, names: Sequence[str] | None) -> None:
    """Writes the name of each class at the median of its points, framed in its colour.

    A name beside its cloud needs no legend and no eye for colours.
    """
    present = np.unique(classes)
    texts = [str(c) if names is None else str(names[c]) for c in present]
    medians = np.array([np.median(points[classes == c], axis=0) for c in present])
    for c, text, place in zip(present, texts, _spread(ax, medians, texts), strict=True):
        frame = dict(facecolor="white", edgecolor=PALETTE[c % len(PALETTE)], linewidth=1.8, boxstyle="round,pad=0.25")
        ax.text(*place, text, ha="center", va="center", fontsize="small", color="black", bbox=frame)


def _spread(ax: Any, places: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Move the places up and down until no two names overlap."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    inches = np.array(ax.get_position().size) * ax.figure.get_size_inches()
    middle = (places - low) / (high - low) * inches
    # A character of small print is about 0.075 inches wide; the frame adds as much on either side.
    widths = text_scale() * np.array([0.075 * len(text) + 0.15 for text in texts])
    height = text_scale() * 0.22
    for _ in range(200):
        overlap = False
        for i in range(len(texts)):
            for j in range(i):
                across = abs(middle[i, 0] - middle[j, 0]) < (widths[i] + widths[j]) / 2
                gap = middle[i, 1] - middle[j, 1]
                if across and abs(gap) < height - 1e-6:
                    push = (height - abs(gap)) / 2 * (1 if gap >= 0 else -1)
                    middle[i, 1] += push
                    middle[j, 1] -= push
                    overlap = True
        if not overlap:
            break
    return low + middle / inches * (high - low)
