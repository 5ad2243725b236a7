import jax.numpy as jnp
from jaxtyping import Array, Float

from ._logistic import softplus


def above(raw: Float[Array, " *shape"], low: float) -> Float[Array, " *shape"]:
    r"""A smooth maximum, $\ell + \log(1 + e^{r - \ell})$: never below `low`, and no gradient is cut off.

    **Arguments:** `raw`: r, of any shape; `low`: $\ell$. **Returns:** values of that shape.

    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", 2021, bound
    the log-scale of a sigma-VAE so.
    """
    return low + softplus(raw - low)


def between(raw: Float[Array, " *shape"], low: float, high: float) -> Float[Array, " *shape"]:
    """The same from both sides: never below `low` nor above `high`.

    **Arguments:** `raw`: of any shape; `low`, `high`: the bounds. **Returns:** values of that shape.
    """
    return jnp.clip(high - softplus(high - above(raw, low)), low, high)
