from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array

from ._canvas import PALETTE, canvas, open_axes
from ._class_names import write_names
from ._pca import check_latents, principal_axes


def latent_scatter(
    zs: Array | np.ndarray,
    labels: Array | np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    ax: Any = None,
) -> tuple[Any, Any]:
    """Draws where examples lie in latent space, coloured by their class.

    Latents of two dimensions are drawn as they are; of more, by their two leading principal components,
    whose share of the variance stands on the axes. The names stand at the classes' medians, moved
    up or down where they would cover each other. Latents of one dimension lie along a line: each class has its own
    band above it, within which height means nothing.

    **Arguments:**

    - `zs`: `(n, latent)`: the posterior means, from `zoo.encode`.
    - `labels`: `(n,)`, integers from 0; one colour unless given.
    - `names`: of the classes, in the order of the labels; the numbers unless given.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for fewer than 2 latents, for labels that differ in number, are no
    integers, are negative or have no name.
    """
    zs = check_latents("latent_scatter", zs)
    classes = None if labels is None else _check_labels(zs, labels, names)
    figure, ax = canvas(ax, width=6.5, height=6.0)
    if zs.shape[1] == 1:
        bands = np.zeros(len(zs)) if classes is None else classes
        # By the golden ratio neighbours in the list are spread evenly over the band.
        height = (np.arange(len(zs)) * 0.6180339887) % 1.0 - 0.5
        points, axis_labels = np.stack([zs[:, 0], bands + 0.8 * height], axis=1), ("$z_1$", "")
        title = "Latent space: posterior means"
    elif zs.shape[1] == 2:
        points, axis_labels = zs, ("$z_1$", "$z_2$")
        title = "Latent space: posterior means"
    else:
        axes = principal_axes(zs)
        points = axes.project(zs)[:, :2]
        share = axes.variances / max(axes.variances.sum(), np.finfo(np.float64).tiny)
        axis_labels = [f"principal component {i + 1} ({share[i]:.0%} of the variance)" for i in range(2)]
        title = f"Latent space: posterior means along two of {zs.shape[1]} principal axes"
    size = float(np.clip(12000 / len(zs), 3, 30))
    colours = PALETTE[0] if classes is None else [PALETTE[c % len(PALETTE)] for c in classes]
    ax.scatter(*points.T, s=size, c=colours, alpha=0.7, linewidths=0)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    ax.set_title(title, fontsize="medium")
    open_axes(ax)
    if zs.shape[1] == 1:
        present = [] if classes is None else np.unique(classes)
        ax.set_yticks(present, [str(c) if names is None else str(names[c]) for c in present])
        ax.grid(False, axis="y")
    elif classes is not None:
        write_names(ax, points, classes, names)
    return figure, ax


def _check_labels(zs: np.ndarray, labels: Array | np.ndarray, names: Sequence[str] | None) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (len(zs),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`latent_scatter(labels)` needs one integer to each of {len(zs)} latents, got {labels.dtype} of "
            f"shape {labels.shape}"
        )
    least, most = int(labels.min()), int(labels.max())
    if least < 0:
        raise ValueError(f"`latent_scatter(labels)` count from 0, got {least}; number the classes from 0")
    if names is not None and most >= len(names):
        raise ValueError(f"`latent_scatter` got the label {most} and {len(names)} names; name all from 0 to {most}")
    return labels.astype(np.int64)
