from jaxtyping import Array, Float

from ._elementary import elementwise, polynomial, table
from ._tables import ERFC_CENTRE


@elementwise
def erfcx(t: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Scaled complementary error function, $e^{t^2} \mathrm{erfc}(t)$, for t >= 0.

    **Arguments:** `t`, at least 0. **Returns:** values in (0, 1], of the same shape.

    A polynomial in $(t - c)/(t + c)$, after Shepherd and Laframboise, "Chebyshev approximation of
    $(1 + 2x) \exp(x^2) \mathrm{erfc}(x)$ in $0 \le x < \infty$", 1981.
    """
    q = (t - ERFC_CENTRE) / (t + ERFC_CENTRE)
    return polynomial(table("SCALED_ERFC", t.dtype), q) / (1 + 2 * t)
