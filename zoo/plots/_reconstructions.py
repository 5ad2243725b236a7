from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..evaluate import reconstruct
from ..models import AbstractVAE
from ._draw_examples import draw_examples
from ._model_examples import check_model
from ._plane import draw_points
from ._tiles import PAPER, as_examples, columns_of_square, lay_out


_SQUARE = 100  # pictures, whose columns are the most that are drawn
_GAPS = (1, 5)  # thin within a pair of rows, wide between pairs


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

    Images and signals stand in pairs of rows: the original above, its reconstruction right beneath. Points in the plane
    are drawn on top of each other.

    **Arguments:**

    - `model`: a trained model, frozen if it has `BatchNorm`.
    - `xs`: `(n, channels, height, width)`, `(n, channels, length)` or `(n, 2)`: uint8 pixels or floats; drawn as they
      are.
    - `ys`: their labels, for a `ConditionalVAE`.
    - `observe`: what the model sees of them, as in `zoo.fit`.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.
    """
    if model.data_shape == (2,):
        made = np.asarray(reconstruct(model, xs, ys=ys, observe=observe, key=key))
        groups = {"data": np.asarray(xs), "reconstruction": made}
        return draw_points(groups, title="Points and their reconstructions", ax=ax)
    check_model("reconstructions", model)
    originals = as_examples("reconstructions(xs)", xs)
    made = as_examples("reconstructions", reconstruct(model, xs, ys=ys, observe=observe, key=key))
    n = len(originals)
    columns = min(n, columns_of_square(originals, _SQUARE))
    rows = 2 * -(-n // columns)
    # The last pair of rows is filled up with white images, or with no lines.
    nothing = PAPER if originals.ndim == 4 else np.nan
    blank = np.full((rows // 2 * columns - n, *originals.shape[1:]), nothing, originals.dtype)
    originals, made = (
        np.concatenate([images, blank]).reshape(rows // 2, columns, *images.shape[1:]) for images in (originals, made)
    )
    pairs = np.stack([originals, made], axis=1).reshape(-1, *originals.shape[2:])
    layout = lay_out(pairs, columns, row_gaps=_GAPS)
    figure, ax = draw_examples(pairs, layout, ax, title="Originals above their reconstructions", left=1.0)
    ax.set_yticks(layout.row_centres, ["original", "reconstruction"] * (rows // 2), fontsize="small")
    return figure, ax
