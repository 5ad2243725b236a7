from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array


Numbers = Array | np.ndarray | Sequence  # nested as deep as the docstring says

# Ten colours chosen to stay apart under the three kinds of colour blindness: Petroff, "Accessible color
# sequences for data visualization", 2021, arXiv 2107.02270.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
INK = "#333333"


def canvas(ax: Any, *, width: float = 6.0, height: float = 4.0) -> tuple[Any, Any]:
    """Return `ax` and its figure; where it is `None`, make new ones of this size in inches."""
    if ax is not None:
        return ax.figure, ax
    from ._figure import Figure

    figure = Figure(figsize=(width, height), layout="compressed")
    return figure, figure.add_subplot()


def text_scale() -> float:
    """Return how large text is drawn, as a multiple of matplotlib's 10 points."""
    import matplotlib

    return matplotlib.rcParams["font.size"] / 10


def open_axes(ax: Any) -> None:
    """Leaves only the two spines that carry the scales, and a faint grid behind the data."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)


def number(value: float, spec: str) -> str:
    """Write a number with a true minus sign, and no minus before zero."""
    text = format(value, spec)
    if text.startswith("-") and not text.strip("-0."):
        text = text[1:]
    return text.replace("-", "\N{MINUS SIGN}")
