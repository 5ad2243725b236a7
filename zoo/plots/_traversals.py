from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..models import AbstractVAE
from ._canvas import Numbers, number
from ._draw_examples import draw_examples
from ._model_examples import as_latents, check_model, decode_latents, with_batch_axis
from ._tiles import lay_out


def traversals(
    model: AbstractVAE,
    x: Array | np.ndarray,
    *,
    values: Numbers | None = None,
    dimensions: Sequence[int] | None = None,
    observe: Callable | None = None,
    ax: Any = None,
    key: PRNGKeyArray | None = None,
) -> tuple[Any, Any]:
    r"""Draws what each latent dimension does to one image or signal: a row to a dimension.

    In row j, $z_j$ takes the `values` in turn, the other dimensions keep those of `x`, and
    $E[x \mid z]$ is drawn.

    **Arguments:**

    - `model`: a trained model of images or signals, frozen if it has `BatchNorm`.
    - `x`: one example of the data's shape, `(channels, height, width)`, which is encoded, or one latent `(latent,)`.
    - `values`: that a dimension takes; nine from -3 to 3 unless given.
    - `dimensions`: which latent dimensions, from 0, in the order of the rows; all unless given.
    - `observe`, `key`: for an image, as in `zoo.encode`; a latent needs neither.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for a model of other data, another shape than one image or latent, no values,
    dimensions the latent does not have.

    Higgins et al., "beta-VAE", 2017, figures 1 to 3.
    """
    check_model("traversals", model)
    xs = with_batch_axis("traversals", "x", model, x)
    if len(xs) != 1:
        raise ValueError(f"`traversals(x)` starts from one image or latent, got a batch of {len(xs)}; pass x[0]")
    (z,) = as_latents("traversals", model, xs, observe=observe, key=key)
    values = np.linspace(-3.0, 3.0, 9) if values is None else np.asarray(values, np.float64)
    dimensions = range(len(z)) if dimensions is None else dimensions
    if values.ndim != 1 or not len(values) or not len(dimensions):
        raise ValueError(
            f"`traversals` needs at least one value and one dimension, got {values.shape} values and "
            f"{len(dimensions)} dimensions"
        )
    if not all(0 <= j < len(z) for j in dimensions):
        raise ValueError(f"`traversals(dimensions={list(dimensions)})`: this latent has 0..{len(z) - 1}")
    zs = np.tile(z.astype(np.float64), (len(dimensions), len(values), 1))
    for row, j in enumerate(dimensions):
        zs[row, :, j] = values
    images = decode_latents("traversals", model, zs.reshape(-1, len(z)))
    layout = lay_out(images, len(values))
    title = "One latent dimension to a row, the others held"
    figure, ax = draw_examples(images, layout, ax, title=title, left=0.4, bottom=0.5)
    texts = [number(value, ".3g") for value in values]
    ax.set_xticks(layout.column_centres, texts, fontsize="small")
    ax.set_yticks(layout.row_centres, [f"$z_{{{j + 1}}}$" for j in dimensions], fontsize="small")
    ax.set_xlabel("value of that dimension")
    return figure, ax
