from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class PlaneGrid(NamedTuple):
    """A rectangle of the plane, cut into equal cells.

    **Fields:** `x`, `y`: the middles of the cells, `(size,)` each; `extent`: (left, right, bottom, top).
    """

    x: Float[np.ndarray, " size"]
    y: Float[np.ndarray, " size"]
    extent: tuple[float, float, float, float]

    @property
    def area(self) -> float:
        """The area of one cell."""
        left, right, bottom, top = self.extent
        return (right - left) * (top - bottom) / (len(self.x) * len(self.y))

    @property
    def ratio(self) -> float:
        """The height over the width."""
        left, right, bottom, top = self.extent
        return (top - bottom) / (right - left)

    def points(self) -> Float[np.ndarray, " cells 2"]:
        """The middles of all cells, row by row from the bottom, float32."""
        x, y = np.meshgrid(self.x, self.y)
        return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def plane_grid(call: str, bounds, size: int) -> PlaneGrid:
    """Cut `bounds` into a grid: `(low, high)` for both axes, or `((left, right), (bottom, top))`.

    **Raises:** `ValueError` where `bounds` are neither, are not finite or do not rise, or `size` is below 2.
    """
    edges = np.asarray(bounds, np.float64)
    if edges.shape not in ((2,), (2, 2)) or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise ValueError(f"`{call}(bounds={bounds})` needs (low, high), or ((left, right), (bottom, top)), each rising")
    if size < 2:
        raise ValueError(f"`{call}(size={size})`: at least 2 cells to a side are needed")
    (left, right), (bottom, top) = np.broadcast_to(edges, (2, 2)).tolist()
    middles = (np.arange(size) + 0.5) / size
    return PlaneGrid(left + (right - left) * middles, bottom + (top - bottom) * middles, (left, right, bottom, top))
