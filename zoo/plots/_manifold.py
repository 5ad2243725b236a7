from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Array

from ..models import AbstractVAE
from ..priors import StandardNormal
from ._canvas import draw_images, number
from ._model_images import check_model_of_images, decode_images
from ._pca import check_latents, principal_axes
from ._tiles import centres, tile


def manifold(model: AbstractVAE, zs: Array | np.ndarray, *, size: int = 15, ax: Any = None) -> tuple[Any, Any]:
    r"""Draws what the decoder makes of a plane through the latents.

    $$E[x \mid z_{ij}], \qquad z_{ij} = \bar z + \Phi^{-1}(u_j)\, s_1 v_1 + \Phi^{-1}(u_i)\, s_2 v_2$$

    with u on a regular grid from 0.05 to 0.95, the latents' mean $\bar z$ and, along their two leading
    principal axes $v$, their own standard deviations $s$. So the picture stays where the data are: each
    step passes the same share of them, were they normal. (Unit deviations would leave the data where
    the posterior means spread less than the prior, as they do; without the mean the plane misses them.)
    Two-dimensional latents under a standard normal prior need no axes: there it is the prior's own grid,
    $z = (\Phi^{-1}(u_j), \Phi^{-1}(u_i))$.

    The first axis runs to the right and the second upwards, as in `latent_scatter`.

    **Arguments:**

    - `model`: a trained model of images, frozen if it has `BatchNorm`.
    - `zs`: `(n, latent)`, the posterior means of data, from `zoo.encode`.
    - `size`: images along each side, at least 2.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for a model of other data, `size` below 2, fewer than 2 latents or dimensions.
    """
    check_model_of_images("manifold", model)
    zs = check_latents("manifold", zs)
    if size < 2:
        raise ValueError(f"`manifold(size={size})`: at least 2 images to a side are needed")
    normal = NormalDist()
    deviations = np.array([normal.inv_cdf(u) for u in np.linspace(0.05, 0.95, size)])
    plain = zs.shape[1] == 2 and isinstance(model.prior, StandardNormal)
    if plain:
        mean, steps = np.zeros(2), np.eye(2)
        title, labels = "Decoded grid over the prior, $z \\sim N(0, I)$", ("$z_1$", "$z_2$")
    else:
        axes = principal_axes(zs)
        mean, steps = axes.mean, axes.components[:2] * np.sqrt(axes.variances[:2, None])
        title = "Decoded plane of the two leading principal axes of the encoded data"
        labels = tuple(f"principal axis {i} (standard deviations)" for i in (1, 2))
    rightwards, upwards = np.meshgrid(deviations, deviations[::-1])
    grid = mean + rightwards.reshape(-1, 1) * steps[0] + upwards.reshape(-1, 1) * steps[1]
    images = decode_images("manifold", model, grid)
    figure, ax = draw_images(tile(images, size), ax, title=title, rows=size, columns=size, left=0.6, bottom=0.5)
    shown = np.unique(np.linspace(0, size - 1, min(size, 5)).round().astype(int))
    texts = [number(float(deviations[i]), ".1f") for i in shown]
    across, down = (centres(size, side) for side in (images.shape[3], images.shape[2]))
    ax.set_xticks(across[shown], texts, fontsize="small")
    ax.set_yticks(down[size - 1 - shown], texts, fontsize="small")
    ax.set(xlabel=labels[0], ylabel=labels[1])
    return figure, ax
