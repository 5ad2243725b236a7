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


def draw_images(
    tiles: np.ndarray,
    ax: Any,
    *,
    title: str,
    rows: int,
    columns: int,
    left: float = 0.1,
    bottom: float = 0.1,
) -> tuple[Any, Any]:
    """Shows one array of tiled images without scales.

    `left` and `bottom` are room for labels in inches, where the figure is new and text has its default size.
    """
    # 0.55 inches for a tile; more where there are few, less where the figure would outgrow a page, or be so wide
    # that its labels are small where it is fitted into a column.
    side = np.clip(3.2 / columns, 0.55, min(6.0 / columns, 9.0 / rows))
    width = float(side * columns)
    height = width * tiles.shape[0] / tiles.shape[1]
    scale = text_scale()
    width = scale * left + max(width, scale * 0.075 * len(title)) + 0.1
    figure, ax = canvas(ax, width=width, height=scale * (bottom + 0.35) + height)
    ax.imshow(tiles, cmap="gray", vmin=0.0, vmax=1.0)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_title(title, fontsize="medium")
    return figure, ax
