import jax.numpy as jnp
from jaxtyping import Array, Float


# One layer stretches by at most e^3: a wild step of the optimiser cannot make the next one overflow.
_LARGEST = 3.0


def soft_clip(log_scale: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    """A log-scale as it is near 0, and held softly between -3 and 3."""
    return _LARGEST * jnp.tanh(log_scale / _LARGEST)
