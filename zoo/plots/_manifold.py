from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Array

from ..models import AbstractVAE
from ..priors import StandardNormal
from ._canvas import number
from ._draw_examples import draw_examples
from ._model_examples import check_model, decode_latents
from ._pca import check_latents, principal_axes
from ._tiles import lay_out


def manifold(model: AbstractVAE, zs: Array | np.ndarray, *, size: int = 15, ax: Any = None) -> tuple[Any, Any]:
    r"""Draws what the decoder makes of a plane through the latents.

    $$E[x \mid z_{ij}], \qquad z_{ij} = \bar z + \Phi^{-1}(u_j)\, s_1 v_1 + \Phi^{-1}(u_i)\, s_2 v_2$$

    with u on a regular grid from 0.05 to 0.95, the latents' mean $\bar z$ and, along their two leading
    principal axes $v$, their own standard deviations $s$. So the picture stays where the data are: each
    step passes the same share of them, were they normal. (Unit deviations would leave the data where
    the posterior means spread less than the prior, as they do; without the mean the plane misses them.)
    Two-dimensional latents under a standard normal prior need no axes: there it is the prior's own grid,
    $z = (\Phi^{-1}(u_j), \Phi^{-1}(u_i))$.

    The first axis runs to the right and the second upwards, as in `latent_scatter`. Latents of one dimension have the
    first alone.

    **Arguments:**

    - `model`: a trained model of images or signals, frozen if it has `BatchNorm`.
    - `zs`: `(n, latent)`, the posterior means of data, from `zoo.encode`.
    - `size`: images, or signals, along each side, at least 2.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for a model of other data, `size` below 2, fewer than 2 latents.
    """
    check_model("manifold", model)
    zs = check_latents("manifold", zs)
    if size < 2:
        raise ValueError(f"`manifold(size={size})`: at least 2 images to a side are needed")
    normal = NormalDist()
    deviations = np.array([normal.inv_cdf(u) for u in np.linspace(0.05, 0.95, size)])
    dimensions = min(zs.shape[1], 2)
    if zs.shape[1] == dimensions and isinstance(model.prior, StandardNormal):
        mean, steps = np.zeros(dimensions), np.eye(dimensions)
        title = f"Decoded {('line', 'grid')[dimensions - 1]} over the prior, $z \\sim N(0, I)$"
        labels = ["$z_1$", "$z_2$"]
    else:
        axes = principal_axes(zs)
        mean, steps = axes.mean, axes.components[:2] * np.sqrt(axes.variances[:2, None])
        title = "Decoded plane of the two leading principal axes of the encoded data"
        labels = [f"principal axis {i} (standard deviations)" for i in (1, 2)]
        if dimensions == 1:
            title, labels = "Decoded line of latents, as the encoded data spread", ["$z_1$ (standard deviations)"]
    # Along the second axis from the top downwards.
    places = np.stack(np.meshgrid(*[deviations, deviations[::-1]][:dimensions]), axis=-1).reshape(-1, dimensions)
    images = decode_latents("manifold", model, mean + sum(places[:, [i]] * steps[i] for i in range(dimensions)))
    layout = lay_out(images, size)
    figure, ax = draw_examples(images, layout, ax, title=title, left=0.6, bottom=0.5)
    shown = np.unique(np.linspace(0, size - 1, min(size, 5)).round().astype(int))
    texts = [number(float(deviations[i]), ".1f") for i in shown]
    ax.set_xticks(layout.column_centres[shown], texts, fontsize="small")
    ax.set_xlabel(labels[0])
    if dimensions == 2:
        ax.set_yticks(layout.row_centres[size - 1 - shown], texts, fontsize="small")
        # Beside a low sheet the label stands on two lines.
        ax.set_ylabel(labels[1].replace(" (", "\n(") if 2 * layout.size[0] < layout.size[1] else labels[1])
    return figure, ax
