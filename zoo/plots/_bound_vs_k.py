from typing import Any

import numpy as np

from ._canvas import INK, PALETTE, Numbers, canvas, open_axes


def bound_vs_k(
    ks: Numbers,
    bounds: Numbers,
    errors: Numbers | None = None,
    *,
    log_px: float | None = None,
    label: str = "bound",
    ax: Any = None,
) -> tuple[Any, Any]:
    r"""Draws how a bound moves with the number of draws, and the log-likelihood it should stay below.

    Called again with the `ax` it returned, it adds another curve in another colour and marker.

    **Arguments:**

    - `ks`: numbers of draws, at least 1.
    - `bounds`: nats, one for each k.
    - `errors`: their standard errors in nats, drawn as bars; none unless given.
    - `log_px`: the exact $\log p(x)$ in nats, where it is known.
    - `label`: what the curve is.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for sequences of different lengths, none at all, or k below 1.
    """
    ks, bounds = np.asarray(ks), np.asarray(bounds, np.float64)
    errors = None if errors is None else np.asarray(errors, np.float64)
    shapes = [a.shape for a in (ks, bounds, errors) if a is not None]
    if ks.ndim != 1 or not ks.size or len(set(shapes)) != 1:
        raise ValueError(
            "`bound_vs_k` needs one bound (and error, if any) for each k, got shapes " + ", ".join(map(str, shapes))
        )
    if ks.min() < 1:
        raise ValueError(f"`bound_vs_k(ks)`: a bound takes at least 1 draw, got k = {ks.min()}")
    figure, ax = canvas(ax)
    order = np.argsort(ks)
    turn = len(ax.containers)
    ax.errorbar(
        ks[order],
        bounds[order],
        yerr=None if errors is None else errors[order],
        color=PALETTE[(0, 2, 4, 6)[turn % 4]],
        marker="os^D"[turn % 4],
        linewidth=1.5,
        capsize=3,
        label=label if errors is None else f"{label} \N{PLUS-MINUS SIGN} one standard error",
    )
    if log_px is not None:
        ax.axhline(log_px, color=INK, linestyle="--", linewidth=1, label="exact log p(x)")
    ax.set_xscale("log")
    ticks = _apart(np.unique(np.concatenate([container[0].get_xdata() for container in ax.containers])))
    ax.set_xticks(ticks, [f"{k:g}" for k in ticks])
    ax.minorticks_off()
    ax.set(xlabel="draws k", ylabel="nats per example")
    ax.set_title("The bound against the number of draws", fontsize="medium")
    ax.legend(loc="best", fontsize="small")
    open_axes(ax)
    return figure, ax


def _apart(ks: np.ndarray) -> list[float]:
    """Choose those of the rising ks that leave room for their labels on a logarithmic axis."""
    room = 0.06 * np.log(ks[-1] / ks[0])
    kept = [float(ks[0])]
    for k in ks[1:]:
        if np.log(k / kept[-1]) >= room:
            kept.append(float(k))
    return kept
