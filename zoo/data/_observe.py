from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, Shaped


Pixels = Shaped[Array | np.ndarray, " *shape"]


def as_numbers(x: Pixels, *, key: PRNGKeyArray | None = None) -> Float[Array, " *shape"]:
    """Take the numbers as they are: counts, classes, bits, years; nothing is divided by anything.

    **Arguments:**

    - `x`: one datum: whole numbers, booleans or floats, of any shape.
    - `key`: not used; every observe function takes one.

    **Returns:** the datum as float32 (float64 for float64), of x's shape.
    """
    x = jnp.asarray(x)
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)


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


def dequantise(
    x: Pixels, *, levels: int = 256, step: Float[ArrayLike, " ..."] | None = None, key: PRNGKeyArray
) -> Float[Array, " *shape"]:
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

    For numbers on another grid pass `step`, the distance of its points, one for all or one for each dimension: years
    are 1 apart, prices 0.01, and 0 leaves a dimension alone. Then $\tilde x = x + step\,(u - \tfrac12)$.
    `zoo.data.find_grid` finds the steps of a table's columns.

    **Arguments:**

    - `x`: one datum, whole numbers in 0..levels - 1 or floats in [0, 1], of any shape; any numbers with `step`.
    - `levels`: how many grey levels there are, 65536 for 16-bit pixels.
    - `step`: of a grid of other numbers: `functools.partial(dequantise, step=0.01)`.
    - `key`: of this visit to this datum.

    **Returns:** float32 (float64 for float64), of x's shape; strictly inside (0, 1) without `step`.

    **Raises:** `ValueError` where the dtype is none of these, and for fewer than two levels or more than 65536.
    """
    if step is not None:
        x = as_numbers(x)
        return x + jnp.asarray(step, x.dtype) * (_noise(x.shape, x.dtype, 15, key=key) - 0.5)
    if not 2 <= levels <= 65536:
        raise ValueError(f"`dequantise(levels={levels})` takes 2 to 65536 grey levels; pass `step` for another grid")
    if x.dtype in (jnp.uint8, jnp.uint16):
        number = jnp.asarray(x).astype(jnp.float32)
    else:
        number = (levels - 1) * _floats("dequantise", x)
    # 8 bits of 256 levels and 15 of noise are what float32 holds.
    return (number + _noise(x.shape, number.dtype, 23 - (levels - 1).bit_length(), key=key)) / levels


def _noise(shape: tuple[int, ...], dtype: Any, num_bits: int, *, key: PRNGKeyArray) -> Float[Array, " ..."]:
    num_bits = num_bits if dtype == jnp.float32 else 32
    index = jr.bits(key, shape, jnp.uint32) >> (32 - num_bits)
    return (index.astype(dtype) + 0.5) * 2.0**-num_bits


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
    if not (jnp.issubdtype(x.dtype, jnp.floating) or x.dtype == jnp.bool_):
        raise ValueError(
            f"`{call}(x)` needs bytes (uint8, 0..255), booleans or floats in [0, 1], got "
            f"{x.dtype}; cast with x.astype('uint8') where they are pixels, and take others by `zoo.data.as_numbers`"
        )
    x = jnp.asarray(x)
    return x if x.dtype == jnp.float64 else x.astype(jnp.float32)
