from typing import Any

import numpy as np
from jaxtyping import PRNGKeyArray

from ..evaluate import sample
from ..models import AbstractVAE
from ._draw_examples import draw_examples
from ._model_examples import check_model
from ._plane import draw_points
from ._tiles import as_examples, columns_of_square, lay_out


def samples(
    model: AbstractVAE, n: int = 64, *, y: Any = None, noise: bool = False, ax: Any = None, key: PRNGKeyArray
) -> tuple[Any, Any]:
    r"""Draws what the model makes up: $E[x \mid z]$ at $z \sim p(z)$, in a square of images or of lines.

    The mean is the likelihood's own: for the continuous Bernoulli $A'(\eta)$, not $\lambda$.

    **Arguments:**

    - `model`: a trained model of images, of signals or of points in the plane; frozen if it has `BatchNorm`.
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
    check_model("samples", model)
    examples = as_examples("samples", sample(model, n, y=y, noise=noise, key=key))
    return draw_examples(examples, lay_out(examples, columns_of_square(examples)), ax, title=what)
