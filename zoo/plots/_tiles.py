import math

import numpy as np
from jaxtyping import Array, Float


GAP = 1  # pixels between images
PAPER = 1.0  # what the gaps are filled with


def as_images(call: str, images: Array | np.ndarray) -> Float[np.ndarray, " n channels height width"]:
    """Turn images into floats in [0, 1] for the screen: bytes are divided by 255, means outside are clipped.

    **Raises:** `ValueError` for anything but `(n, 1 or 3, height, width)` and for no images at all.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            f"`{call}` draws images of shape (n, 1 or 3, height, width), got {images.shape}; "
            "reshape them, channels first"
        )
    if images.size == 0:
        raise ValueError(f"`{call}` needs at least one image, got shape {images.shape}")
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    return np.clip(images, 0.0, 1.0).astype(np.float32)


def tile(
    images: Float[np.ndarray, " n channels height width"], columns: int, *, row_gaps: tuple[int, ...] = (GAP,)
) -> Float[np.ndarray, " rows columns"] | Float[np.ndarray, " rows columns rgb"]:
    """Put all images into one array, row by row from the top left, with thin gaps between them.

    One array draws in milliseconds where a hundred axes take seconds. `row_gaps` are the gaps below the
    rows, in turn. Cells without an image are paper.
    """
    n, channels, height, width = images.shape
    rows = math.ceil(n / columns)
    tops = row_tops(rows, height, row_gaps)
    sheet = np.full((channels, tops[-1] + height, columns * (width + GAP) - GAP), PAPER, images.dtype)
    for i, image in enumerate(images):
        top, left = tops[i // columns], (i % columns) * (width + GAP)
        sheet[:, top : top + height, left : left + width] = image
    return sheet[0] if channels == 1 else sheet.transpose(1, 2, 0)


def row_tops(rows: int, height: int, row_gaps: tuple[int, ...] = (GAP,)) -> list[int]:
    """The first pixel of each row of tiles."""
    gaps = [row_gaps[i % len(row_gaps)] for i in range(rows)]
    return [i * height + sum(gaps[:i]) for i in range(rows)]


def centres(count: int, side: int) -> np.ndarray:
    """The middle of each tile along one axis, in the pixel coordinates of `imshow`, with even gaps."""
    return np.arange(count) * (side + GAP) + (side - 1) / 2
