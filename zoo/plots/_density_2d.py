from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ._canvas import canvas
from ._plane_grid import PlaneGrid, plane_grid


LogDensity = Callable | Array | np.ndarray


def density_2d(
    log_density_model: LogDensity,
    log_density_true: LogDensity | None = None,
    *,
    bounds: Sequence,
    size: int = 200,
    axes: Any = None,
) -> tuple[Any, Any]:
    r"""Draws a density on the plane, beside the true one where it is known, on one colour scale.

    The truth then also gives the divergence, by the midpoint rule on the same cells:

    $$KL(p \,\|\, p_\theta) = \int p(x) \left[\log p(x) - \log p_\theta(x)\right] dx$$

    It is written above the model's picture where the window holds at least 99% of the truth and the
    cells are fine enough to see it: where the truth's own mass comes out between 0.99 and 1.01. Both masses
    are given otherwise. Colours follow the square root of the density, to show faint bridges.

    **Arguments:**

    - `log_density_model`, `log_density_true`: log p(x) in nats: a JAX function of one point `(2,)`, or its
      values on the grid, `(size, size)`, [i, j] at the middle of the i-th cell from the bottom and the j-th
      from the left, as `model_log_density` gives them.
    - `bounds`: `(low, high)` for both axes, or `((left, right), (bottom, top))`.
    - `size`: cells along each side.
    - `axes`: matplotlib axes to draw on, one, or a pair if there is a truth; new ones unless given.

    **Returns:** `(figure, axes)`: one of axes, or an array of two.

    **Raises:** `ValueError` for bounds that do not rise, values of another shape, NaN densities, or another
    number of axes than pictures.
    """
    grid = plane_grid("density_2d", bounds, size)
    model = _on_grid("log_density_model", log_density_model, grid)
    if log_density_true is None:
        if np.ndim(axes) != 0:
            raise ValueError(f"`density_2d(axes)` draws one picture, got {len(axes)} axes; pass one of them")
        figure, ax = canvas(axes, width=5.2, height=0.8 + 3.9 * min(grid.ratio, 2.0))
        title = f"Model density, mass in view {_mass(model, grid):.3f}"
        image = _draw(ax, model, grid, float(np.exp(model).max()), title)
        _colour_bar(figure, image, ax)
        return figure, ax
    true = _on_grid("log_density_true", log_density_true, grid)
    figure, pair = _two_axes(axes, grid)
    top = float(np.exp(np.maximum(model, true)).max())
    _draw(pair[0], model, grid, top, f"Model\n{_verdict(model, true, grid)}")
    image = _draw(pair[1], true, grid, top, f"Truth\nmass in view {_mass(true, grid):.3f}")
    _colour_bar(figure, image, list(pair))
    return figure, pair


def _verdict(model: np.ndarray, true: np.ndarray, grid: PlaneGrid) -> str:
    if abs(_mass(true, grid) - 1) > 0.01:
        return f"mass in view {_mass(model, grid):.3f}; KL not computable here"
    kl = kl_on_grid(true, model, grid)
    return f"KL(truth || model) = {kl:.3f} nats" if np.isfinite(kl) else "KL(truth || model) is infinite"


def kl_on_grid(true: Float[np.ndarray, " size size"], model: Float[np.ndarray, " size size"], grid: PlaneGrid) -> float:
    """KL(true || model) in nats by the midpoint rule; a cell the truth never visits adds nothing."""
    p = np.exp(true)
    visited = p > 0
    return float(np.sum(p[visited] * (true[visited] - model[visited])) * grid.area)


def _mass(log_density: np.ndarray, grid: PlaneGrid) -> float:
    return float(np.exp(log_density).sum() * grid.area)


def _on_grid(name: str, log_density: LogDensity, grid: PlaneGrid) -> Float[np.ndarray, " size size"]:
    shape = (len(grid.y), len(grid.x))
    if callable(log_density):
        values = np.asarray(_evaluate(log_density, jnp.asarray(grid.points())), np.float64)
        if values.shape != (shape[0] * shape[1],):
            raise ValueError(
                f"`density_2d({name})` must return a scalar for one point (2,), got shape {values.shape[1:]}"
            )
        values = values.reshape(shape)
    else:
        values = np.asarray(log_density, np.float64)
    if values.shape != shape:
        raise ValueError(
            f"`density_2d({name})` needs values on the grid, {shape}, got {values.shape}; "
            "pass the `size` they were made with, or a function of one point"
        )
    if np.isnan(values).any() or np.isposinf(values).any():
        raise ValueError(f"`density_2d({name})`: the log-density is NaN or +inf at some points; mend it there")
    return values


@eqx.filter_jit
def _evaluate(log_density: Callable, points: Float[Array, " cells 2"]) -> Array:
    return lax.map(log_density, points, batch_size=4096)


def _draw(ax: Any, log_density: np.ndarray, grid: PlaneGrid, top: float, title: str) -> Any:
    from matplotlib.colors import PowerNorm

    image = ax.imshow(
        np.exp(log_density),
        origin="lower",
        extent=grid.extent,
        cmap="viridis",
        norm=PowerNorm(0.5, vmin=0.0, vmax=top),
        interpolation="nearest",
    )
    ax.set(xlabel="$x_1$", ylabel="$x_2$")
    ax.set_title(title, fontsize="medium")
    return image


def _colour_bar(figure: Any, image: Any, axes: Any) -> None:
    figure.colorbar(image, ax=axes, label="density per unit area\n(square-root colours)")


def _two_axes(axes: Any, grid: PlaneGrid) -> tuple[Any, np.ndarray]:
    if axes is None:
        from ._figure import Figure

        figure = Figure(figsize=(9.0, 1.1 + 3.7 * min(grid.ratio, 2.0)), layout="compressed")
        return figure, figure.subplots(1, 2, sharex=True, sharey=True)
    pair = np.asarray(axes, dtype=object).ravel()
    if len(pair) != 2:
        raise ValueError(f"`density_2d(axes)` draws model and truth on 2 axes, got {len(pair)}")
    return pair[0].figure, pair
