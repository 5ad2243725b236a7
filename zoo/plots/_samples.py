import math
from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from ..evaluate import sample
from ..models import AbstractVAE
from ._canvas import draw_images
from ._model_images import check_model_of_images
from ._plane import draw_points
from ._tiles import as_images, tile


def samples(
    model: AbstractVAE, n: int = 64, *, y: Any = None, noise: bool = False, ax: Any = None, key: PRNGKeyArray
) -> tuple[Any, Any]:
    r"""Draws what the model makes up: $E[x \mid z]$ at $z \sim p(z)$, in a square of images.

    The mean is the likelihood's own: for the continuous Bernoulli $A'(\eta)$, not $\lambda$.

    **Arguments:**

    - `model`: a trained model of images, or of points in the plane; frozen if it has `BatchNorm`.
    - `n`: how many, at least 1.
    - `y`: for a `ConditionalVAE`: one label, or n of them.
    - `noise`: `True` for $x \sim p(x \mid z)$ with its observation noise, the model's density itself.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.
    """
    what = "Samples $x \\sim p(x)$" if noise else "Means $E[x\\,|\\,z]$ at $z \\sim p(z)$"
    if model.data_shape == (2,):
        points = np.asarray(sample(model, n, y=y, noise=noise, key=key))
        return draw_points({"model": points}, title=what, ax=ax)
    check_model_of_images("samples", model)
    images = as_images("samples", sample(model, n, y=y, noise=noise, key=key))
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    return draw_images(tile(images, columns), ax, title=what, rows=rows, columns=columns)
