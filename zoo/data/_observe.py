import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped


Pixels = Shaped[Array | np.ndarray, " *shape"]


def scale(x: Pixels, *, key: PRNGKeyArray | None = None) -> Float[Array, " *shape"]:
    r"""Scale pixels to [0, 1]: $x / 255$ for bytes; floats stay unchanged.

    **Arguments:**

    - `x`: one datum, uint8 in 0..255 or floats in [0, 1], of any shape.
    - `key`: not used; every observe function takes one.

    **Returns:** the datum as float32 (float64 for float64), of x's shape.

    **Raises:** `ValueError` where the dtype is neither.
    """
    if x.dtype == jnp.uint8:
        return jnp.asarray(x).astype(jnp.float32) / 255
    return _floats("scale", x)


def dequantise(x: Pixels, *, key: PRNGKeyArray) -> Float[Array, " *shape"]:
    r"""Add to the pixels the noise that undoes their rounding to 256 levels.

    $$\tilde x = \frac{255 x + u}{256}, \qquad u \sim \mathrm{Uniform}(0, 1)$$

    A density on $\tilde x$ bounds the probability of the bytes from below, where a density on the bytes
    themselves has no bound: half of Fashion-MNIST is exactly zero (Theis et al., "A note on the evaluation
    of generative models", 2016, section 3.1). One departure from a plain uniform draw: u takes the
    $2^{15}$ midpoints $(i + \tfrac12) / 2^{15}$ with equal probability ($2^{32}$ of them in float64). For
    bytes, $255 x + u$ is then exact in float32, so every level gets the same noise, with mean 1/2, and
    $2^{-24} \le \tilde x \le 1 - 2^{-24}$: never 0, never 1. A 23-bit u would round 255 + u up to 256, once
    in 131,000 white pixels.

    **Arguments:**

    - `x`: one datum, uint8 in 0..255 or floats in [0, 1], of any shape.
    - `key`: of this visit to this datum.

    **Returns:** float32 (float64 for float64) strictly inside (0, 1), of x's shape.

    **Raises:** `ValueError` where the dtype is neither.
    """
    if x.dtype == jnp.uint8:
        levels = jnp.asarray(x).astype(jnp.float32)
    else:
        levels = 255 * _floats("dequantise", x)
    num_bits = 15 if levels.dtype == jnp.float32 else 32
    index = jr.bits(key, x.shape, jnp.uint32) >> (32 - num_bits)
    noise = (index.astype(levels.dtype) + 0.5) * 2.0**-num_bits
    return (levels + noise) / 256


def binarise(x: Pixels, *, key: PRNGKeyArray) -> Float[Array, " *shape"]:
    r"""Make each pixel black or white by the toss of a coin whose bias it is: $\tilde x \sim \mathrm{Bernoulli}(x)$.

    Drawn anew at every visit this is the "dynamic" binarisation of Burda et al., "Importance weighted
    autoencoders", 2016, section 5. Black pixels stay black and white pixels white.

    **Arguments:**

    - `x`: one datum, uint8 in 0..255 (the bias is x / 255) or floats in [0, 1], of any shape.
    - `key`: of this visit to this datum.

    **Returns:** zeros and ones as float32 (float64 for float64), of x's shape.

    **Raises:** `ValueError` where the dtype is neither.
    """
    bias = scale(x) if x.dtype == jnp.uint8 else _floats("binarise", x)
    return jr.bernoulli(key, bias).astype(bias.dtype)


def _floats(call: str, x: Pixels) -> Float[Array, " *shape"]:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"`{call}(x)` needs bytes (uint8, 0..255) or floats in [0, 1], got {x.dtype}; "
            "cast with x.astype('uint8') or x.astype('float32')"
        )
    x = jnp.asarray(x)
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)
