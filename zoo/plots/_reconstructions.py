from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..evaluate import reconstruct
from ..models import AbstractVAE
from ._canvas import draw_images
from ._model_images import check_model_of_images
from ._plane import draw_points
from ._tiles import as_images, row_tops, tile


_COLUMNS = 10
_GAPS = (1, 5)  # pixels: thin within a pair of rows, wide between pairs


def reconstructions(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    observe: Callable | None = None,
    ax: Any = None,
    key: PRNGKeyArray,
) -> tuple[Any, Any]:
    r"""Draws examples and what the model makes of them, $E[x' \mid z]$ at one $z \sim q(z \mid x)$.

    Images stand in pairs of rows: the original above, its reconstruction right beneath. Points in the plane
    are drawn on top of each other.

    **Arguments:**

    - `model`: a trained model, frozen if it has `BatchNorm`.
    - `xs`: `(n, channels, height, width)` or `(n, 2)`: uint8 pixels or floats; drawn as they are.
    - `ys`: their labels, for a `ConditionalVAE`.
    - `observe`: what the model sees of them, as in `zoo.fit`.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.
    """
    if model.data_shape == (2,):
        made = np.asarray(reconstruct(model, xs, ys=ys, observe=observe, key=key))
        groups = {"data": np.asarray(xs), "reconstruction": made}
        return draw_points(groups, title="Points and their reconstructions", ax=ax)
    check_model_of_images("reconstructions", model)
    originals = as_images("reconstructions(xs)", xs)
    made = as_images("reconstructions", reconstruct(model, xs, ys=ys, observe=observe, key=key))
    n, height = len(originals), originals.shape[2]
    columns = min(n, _COLUMNS)
    rows = 2 * -(-n // columns)
    # The last pair of rows is filled up with white images.
    blank = np.ones((rows // 2 * columns - n, *originals.shape[1:]), originals.dtype)
    originals, made = (
        np.concatenate([images, blank]).reshape(rows // 2, columns, *images.shape[1:]) for images in (originals, made)
    )
    pairs = np.stack([originals, made], axis=1).reshape(-1, *originals.shape[2:])
    figure, ax = draw_images(
        tile(pairs, columns, row_gaps=_GAPS),
        ax,
        title="Originals above their reconstructions",
        rows=rows,
        columns=columns,
        left=1.0,
    )
    middles = np.array(row_tops(rows, height, _GAPS)) + (height - 1) / 2
    ax.set_yticks(middles, ["original", "reconstruction"] * (rows // 2), fontsize="small")
    return figure, ax
