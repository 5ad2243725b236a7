import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import special


# The smallest scale that a learned-scale family takes, in nats: exp(-6) = 0.0025 is below one grey level of
# 256.
LOG_SCALE_MIN = -6.0


def above(raw: Float[Array, " *shape"], low: float) -> Float[Array, " *shape"]:
    """Smooth maximum, low + softplus(raw - low): never below `low`, and no gradient is cut off.

    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", 2021, bound
    the log-scale of a sigma-VAE so.
    """
    return low + special.softplus(raw - low)


def between(raw: Float[Array, " *shape"], low: float, high: float) -> Float[Array, " *shape"]:
    """The same from both sides."""
    return jnp.clip(high - special.softplus(high - above(raw, low)), low, high)
