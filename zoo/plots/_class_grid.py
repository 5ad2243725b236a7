from collections.abc import Sequence
from typing import Any

import numpy as np

from ._canvas import Numbers
from ._draw_examples import draw_examples
from ._tiles import as_examples, lay_out


def class_grid(
    images_by_class: Numbers,
    names: Sequence[str] | None = None,
    *,
    title: str = "One class to a row",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draws images or signals class by class, one class to a row.

    **Arguments:**

    - `images_by_class`: `(classes, n, channels, height, width)`, uint8 or floats in [0, 1], or signals of floats
      `(classes, n, channels, length)`: real ones, or what a conditional model makes of each label.
    - `names`: of the classes, written beside their rows; the numbers unless given.
    - `title`: what the images are.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for images of another rank, classes of different sizes, or another number of
    names.
    """
    sizes = {np.shape(images)[0] if np.ndim(images) else 0 for images in images_by_class}
    if len(sizes) != 1:
        raise ValueError(
            "`class_grid` needs at least one class, and as many images of one as of another, got "
            f"{sorted(sizes)}; cut the classes to the smallest"
        )
    stacked = np.asarray(images_by_class)
    if stacked.ndim != 5 and not (stacked.ndim == 4 and np.issubdtype(stacked.dtype, np.floating)):
        raise ValueError(
            "`class_grid` draws images of shape (classes, n, 1 or 3, height, width) and signals of floats (classes, "
            f"n, channels, length), got {stacked.dtype} of shape {stacked.shape}"
        )
    rows, columns = stacked.shape[:2]
    names = [str(c) for c in range(rows)] if names is None else [str(name) for name in names]
    if len(names) != rows:
        raise ValueError(f"`class_grid` got {len(names)} names for {rows} classes; name each once")
    examples = as_examples("class_grid", stacked.reshape(-1, *stacked.shape[2:]))
    left = 0.2 + 0.08 * max(len(name) for name in names)
    layout = lay_out(examples, columns)
    figure, ax = draw_examples(examples, layout, ax, title=title, left=left)
    ax.set_yticks(layout.row_centres, names, fontsize="small")
    return figure, ax
