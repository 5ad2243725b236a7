import jax.numpy as jnp
from jaxtyping import Array, Float

from ._elementary import elementwise, polynomial


# B_2n / (2n (2n - 1))
_SERIES = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188,
    -174611 / 125400,
)  # fmt: skip


@elementwise
def stirling_remainder(a: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""What Stirling's formula leaves out of the log-gamma function.

    $$\delta(a) = \log\Gamma(a) - (a - \tfrac12) \log a + a - \tfrac12 \log 2\pi$$

    Small where log-gamma is huge: densities written with it do not cancel at large parameters. The error is
    a few units in the last place of one.

    **Arguments:** `a`, above 0. **Returns:** $\delta(a) > 0$, of the same shape.

    Loader, "Fast and accurate computation of binomial probabilities", 2000, has it for whole numbers.
    """
    # the asymptotic series from `least` on; below, it is taken `least` further up, and
    # delta(a) - delta(a + 1) = (a + 1/2) log(1 + 1/a) - 1 leads back
    least = 4 if a.dtype == jnp.float32 else 8
    small = a < least
    inverse = 1 / jnp.where(small, a + least, a)
    value = inverse * polynomial(_SERIES, inverse * inverse)
    near = jnp.minimum(a, float(least))
    for i in range(least):
        step = near + i
        value = value + jnp.where(small, (step + 0.5) * jnp.log1p(1 / step) - 1, 0.0)
    return value
