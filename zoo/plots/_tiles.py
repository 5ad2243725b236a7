import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float


PAPER = 1.0  # what the gaps are filled with
_SIDE = 28  # pixels of a picture to one pixel of the gap beside it
_SIGNAL = (28, 56)  # height and width of the cell that a signal's lines are drawn in


def as_examples(call: str, examples: Array | np.ndarray) -> Float[np.ndarray, " n channels *sides"]:
    """Make pictures ready for the screen, bytes divided by 255, means clipped to [0, 1]; signals stay as they are.

    **Raises:** `ValueError` for anything but pictures `(n, 1 or 3, height, width)` and signals of floats `(n, channels,
    length)`, and for none at all.
    """
    examples = np.asarray(examples)
    is_signal = examples.ndim == 3 and np.issubdtype(examples.dtype, np.floating)
    if not is_signal and (examples.ndim != 4 or examples.shape[1] not in (1, 3)):
        raise ValueError(
            f"`{call}` draws images of shape (n, 1 or 3, height, width) and signals of floats (n, channels, length), "
            f"got {examples.dtype} of shape {examples.shape}; reshape them, channels first"
        )
    if examples.size == 0:
        raise ValueError(f"`{call}` needs at least one image, got shape {examples.shape}")
    if examples.dtype == np.uint8:
        return examples.astype(np.float32) / 255
    return (examples if is_signal else np.clip(examples, 0.0, 1.0)).astype(np.float32)


class Layout(NamedTuple):
    """Cells of one size in rows and columns, in the pixel coordinates of `imshow`.

    **Fields:** `rows`, `columns`: how many; `height`, `width`: of a cell; `gap`: between columns; `row_gaps`: below the
    rows, in turn.
    """

    rows: int
    columns: int
    height: int
    width: int
    gap: int
    row_gaps: tuple[int, ...]

    @property
    def tops(self) -> list[int]:
        """The first pixel of each row of cells."""
        gaps = [self.row_gaps[i % len(self.row_gaps)] for i in range(self.rows)]
        return [i * self.height + sum(gaps[:i]) for i in range(self.rows)]

    @property
    def lefts(self) -> list[int]:
        """The first pixel of each column of cells."""
        return [i * (self.width + self.gap) for i in range(self.columns)]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all."""
        return self.tops[-1] + self.height, self.lefts[-1] + self.width

    @property
    def row_centres(self) -> np.ndarray:
        """The middle of each row."""
        return np.array(self.tops) + (self.height - 1) / 2

    @property
    def column_centres(self) -> np.ndarray:
        """The middle of each column."""
        return np.array(self.lefts) + (self.width - 1) / 2


def cell_size(examples: np.ndarray) -> tuple[int, int]:
    """Height and width of the cell that an example is drawn in."""
    return _SIGNAL if examples.ndim == 3 else examples.shape[2:]


def lay_out(examples: np.ndarray, columns: int, *, row_gaps: tuple[int, ...] = (1,)) -> Layout:
    """Lay out examples row by row.

    `row_gaps` are those of small pictures: where there are more pixels, gaps grow with them.
    """
    height, width = cell_size(examples)
    gap = max(1, round(max(height, width) / _SIDE))
    rows = math.ceil(len(examples) / columns)
    return Layout(rows, columns, height, width, gap, tuple(gap * n for n in row_gaps))


def columns_of_square(examples: np.ndarray, n: int | None = None) -> int:
    """How many columns make the sheet of n examples, all unless given, about as wide as it is high."""
    height, width = cell_size(examples)
    n = len(examples) if n is None else n
    return min(n, math.ceil(math.sqrt(n * height / width)))


def tile(
    images: Float[np.ndarray, " n channels height width"], layout: Layout
) -> Float[np.ndarray, " rows columns"] | Float[np.ndarray, " rows columns rgb"]:
    """Put all images into one array, row by row from the top left, with thin gaps between them.

    One array draws in milliseconds where a hundred axes take seconds. Cells without an image are paper.
    """
    sheet = np.full((images.shape[1], *layout.size), PAPER, images.dtype)
    corners = [(top, left) for top in layout.tops for left in layout.lefts]
    for image, (top, left) in zip(images, corners):
        sheet[:, top : top + layout.height, left : left + layout.width] = image
    return sheet[0] if len(sheet) == 1 else sheet.transpose(1, 2, 0)
