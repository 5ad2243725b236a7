from typing import Any

import numpy as np

from ._canvas import PALETTE, Numbers, canvas, open_axes


def kl_per_unit(kl_per_dimension: Numbers, threshold: float = 0.01, *, ax: Any = None) -> tuple[Any, Any]:
    r"""Draws how many nats each latent dimension carries, the busiest first.

    $$KL(q(z_j \mid x) \,\|\, p(z_j))$$

    Dimensions at or below the threshold have fallen back to the prior and stand on hatched ground.

    **Arguments:**

    - `kl_per_dimension`: nats, `(latent,)`, or `(n, latent)` for n examples, whose mean is drawn: a
      posterior's `kl_per_dimension(prior)`.
    - `threshold`: nats above which a dimension counts as active.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for another rank, no dimensions, or values that are not finite.
    """
    nats = np.asarray(kl_per_dimension, np.float64)
    if nats.ndim not in (1, 2) or nats.size == 0 or not np.isfinite(nats).all():
        raise ValueError(
            f"`kl_per_unit` needs finite nats of shape (latent,) or (n, latent), got shape {nats.shape}, "
            f"{np.sum(~np.isfinite(nats))} of them not finite"
        )
    nats = nats if nats.ndim == 1 else nats.mean(axis=0)
    order = np.argsort(-nats, kind="stable")
    active = nats[order] > threshold
    figure, ax = canvas(ax, width=float(np.clip(0.3 * len(nats), 4.5, 9.0)), height=3.5)
    places = np.arange(len(nats))
    ax.bar(places, nats[order], color=PALETTE[0])
    if not active.all():
        # The bars there are too low to be seen, so the ground beneath them says where they are.
        ax.axvspan(
            active.sum() - 0.5,
            len(nats) - 0.5,
            facecolor="#eeeeee",
            edgecolor="#bbbbbb",
            hatch="///",
            linewidth=0,
            zorder=0,
            label=f"at most {threshold:g} nats: back at the prior",
        )
        ax.legend(loc="upper right", framealpha=1.0, fontsize="small")
    ax.margins(x=0.02)
    every = max(len(nats) // 25, 1)
    ax.set_xticks(places[::every], [str(j + 1) for j in order[::every]], fontsize="small")
    ax.set(xlabel="latent dimension", ylabel="KL(q(z$_j$|x) || p(z$_j$)) (nats)")
    ax.set_title(
        f"{active.sum()} of {len(nats)} latent dimensions carry more than {threshold:g} nats",
        fontsize="medium",
    )
    open_axes(ax)
    ax.grid(False, axis="x")
    return figure, ax
