from collections.abc import Sequence
from typing import Any

import numpy as np

from ._canvas import Numbers, draw_images
from ._tiles import as_images, centres, tile


def class_grid(
    images_by_class: Numbers,
    names: Sequence[str] | None = None,
    *,
    title: str = "One class to a row",
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draws images class by class, one class to a row.

    **Arguments:**

    - `images_by_class`: `(classes, n, channels, height, width)`, uint8 or floats in [0, 1]: real ones, or
      what a conditional model makes of each label.
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
    if stacked.ndim != 5:
        raise ValueError(f"`class_grid` draws images of shape (classes, n, 1 or 3, height, width), got {stacked.shape}")
    rows, columns = stacked.shape[:2]
    names = [str(c) for c in range(rows)] if names is None else [str(name) for name in names]
    if len(names) != rows:
        raise ValueError(f"`class_grid` got {len(names)} names for {rows} classes; name each once")
    images = as_images("class_grid", stacked.reshape(-1, *stacked.shape[2:]))
    left = 0.2 + 0.08 * max(len(name) for name in names)
    figure, ax = draw_images(tile(images, columns), ax, title=title, rows=rows, columns=columns, left=left)
    ax.set_yticks(centres(rows, images.shape[2]), names, fontsize="small")
    return figure, ax
