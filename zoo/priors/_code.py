import equinox as eqx
from jaxtyping import Array, Float, Int

from .._checks import check_counts
from ..spaces import Codes
from ._prior import AbstractPrior


class Code(eqx.Module):
    """A latent of codes: which vector of a codebook stands at each place of a grid.

    **Fields:**

    - `index`: the codes, integers from 0, of the grid's shape.
    - `vector`: the vectors they stand for, with the gradient that they carry to an encoder; or `None`, where a
      prior drew the codes, and a decoder looks them up.
    """

    index: Int[Array, " *grid"]
    vector: Float[Array, " *grid size"] | None = None


class AbstractCodePrior(AbstractPrior):
    """A distribution over the `Code`s of a grid."""

    grid_shape: eqx.AbstractVar[tuple[int, ...]]
    num_codes: eqx.AbstractVar[int]

    @property
    def space(self) -> Codes:
        """Grids of codes."""
        return Codes(tuple(self.grid_shape), self.num_codes)


def check_code_sizes(call: str, grid_shape: tuple[int, ...], num_codes: int) -> None:
    """**Raises:** `ValueError` for a grid without places and for fewer than two codes."""
    check_counts(call, grid_shape=grid_shape)
    check_counts(call, at_least=2, num_codes=num_codes)
