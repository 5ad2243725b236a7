from typing import Any

import numpy as np

from ._canvas import INK, PALETTE, Numbers, canvas, open_axes


def rate_distortion(
    rates: Numbers,
    distortions: Numbers,
    betas: Numbers,
    *,
    ax: Any = None,
) -> tuple[Any, Any]:
    r"""Draws the trade that beta makes between the nats a latent carries and the error it leaves.

    Rate is $E\,KL(q(z \mid x) \,\|\, p(z))$, distortion $-E \log p(x \mid z)$; their sum is minus the ELBO,
    so along each thin line all models have the same bound, and the best touch the lowest.

    **Arguments:**

    - `rates`, `distortions`: of one model to an entry, nats per example, as `zoo.evaluate.rate_distortion` finds them.
    - `betas`: what each was trained with.
    - `ax`: matplotlib axes to draw on; new ones unless given.

    **Returns:** `(figure, axes)`.

    **Raises:** `ValueError` for sequences of different lengths or none at all.

    Alemi et al., "Fixing a Broken ELBO", 2018, figure 1.
    """
    rates, distortions, betas = (np.asarray(a, np.float64) for a in (rates, distortions, betas))
    if not rates.shape == distortions.shape == betas.shape or rates.ndim != 1 or not rates.size:
        raise ValueError(
            "`rate_distortion` needs one rate, distortion and beta for each model, got shapes "
            f"{rates.shape}, {distortions.shape} and {betas.shape}"
        )
    figure, ax = canvas(ax, width=5.5, height=4.5)
    order = np.argsort(betas)
    ax.plot(rates[order], distortions[order], color=PALETTE[0], marker="o", linewidth=1.5)
    ax.margins(x=0.15, y=0.15)
    low, high = ax.get_xlim()
    ax.set(xlim=(low, high), ylim=ax.get_ylim())
    for total in rates + distortions:
        ax.plot([low, high], [total - low, total - high], color="#bbbbbb", linewidth=0.7, zorder=0)
    for members in _group_close(rates[order], distortions[order], np.ptp([low, high]), np.ptp(ax.get_ylim())):
        first = order[members[0]]
        text = "$\\beta$ = " + ", ".join(f"{betas[order[i]]:g}" for i in members)
        place = (rates[first], distortions[first])
        ax.annotate(text, place, (6, 6), textcoords="offset points", fontsize="small", color=INK)
    ax.set(xlabel="rate, KL(q(z|x) || p(z)) (nats)", ylabel="distortion, \N{MINUS SIGN}log p(x|z) (nats)")
    ax.set_title("Rate against distortion; grey lines: equal ELBO", fontsize="medium")
    open_axes(ax)
    ax.grid(False)
    return figure, ax


def _group_close(x: np.ndarray, y: np.ndarray, width: float, height: float) -> list[list[int]]:
    """Group points so close that they share one label: large betas often collapse to the same model."""
    runs: list[list[int]] = []
    for i in range(len(x)):
        if runs:
            first = runs[-1][0]
            if abs(x[i] - x[first]) < 0.12 * width and abs(y[i] - y[first]) < 0.05 * height:
                runs[-1].append(i)
                continue
        runs.append([i])
    return runs
