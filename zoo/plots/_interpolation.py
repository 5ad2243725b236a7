from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, PRNGKeyArray

from ..models import AbstractVAE
from ._draw_examples import draw_examples
from ._model_examples import as_latents, check_model, decode_latents, with_batch_axis
from ._tiles import as_examples, lay_out


def interpolation(
    model: AbstractVAE,
    x_a: Array | np.ndarray,
    x_b: Array | np.ndarray,
    *,
    steps: int = 9,
    observe: Callable | None = None,
    ax: Any = None,
    key: PRNGKeyArray | None = None,
) -> tuple[Any, Any]:
    r"""Draws the way from one image, or signal, to another along a straight line in latent space.

    $$E[x \mid (1 - t) z_a + t z_b], \qquad t = 0, \dots, 1$$

    from left to right, with the two images themselves at the ends where images are given.

    **Arguments:**

    - `model`: a trained model of images or signals, frozen if it has `BatchNorm`.
    - `x_a`, `x_b`: two examples of the data's shape, `(channels, height, width)`, which are encoded, or two latents
      `(latent,)`; or two batches of them, one row of the figure to a pair.
    - `steps`: points on the line, both ends included, at least 2.
    - `observe`, `key`: for images, as in `zoo.encode`; latents need neither.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for a model of other data, `steps` below 2, or two of different shapes.
    """
    check_model("interpolation", model)
    if steps < 2:
        raise ValueError(f"`interpolation(steps={steps})`: at least the 2 ends are needed")
    ends = [with_batch_axis("interpolation", name, model, x) for name, x in (("x_a", x_a), ("x_b", x_b))]
    if ends[0].shape != ends[1].shape:
        raise ValueError(
            "`interpolation(x_a, x_b)` goes between two of one shape, got "
            f"{ends[0].shape} and {ends[1].shape}; pass both as images or both as latents"
        )
    z_a, z_b = (as_latents("interpolation", model, x, observe=observe, key=key) for x in ends)
    t = np.linspace(0.0, 1.0, steps)[:, None]
    line = (1 - t) * z_a[:, None] + t * z_b[:, None]
    images = decode_latents("interpolation", model, line.reshape(-1, z_a.shape[1]))
    columns = steps
    texts = ["$z_a$", *[""] * (steps - 2), "$z_b$"]
    if ends[0].ndim == images.ndim:
        first, last = (as_examples("interpolation", x)[:, None] for x in ends)
        images = images.reshape(-1, steps, *images.shape[1:])
        images = np.concatenate([first, images, last], axis=1).reshape(-1, *images.shape[2:])
        columns, texts = steps + 2, ["$x_a$", *texts, "$x_b$"]
    title = "Decoded along a straight line between two latents"
    layout = lay_out(images, columns)
    figure, ax = draw_examples(images, layout, ax, title=title, bottom=0.3)
    ax.set_xticks(layout.column_centres, texts)
    return figure, ax
