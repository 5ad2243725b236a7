import math
from typing import Any

import jax
import numpy as np


_CHUNK = 1 << 16  # values looked at together, small enough for both passes to stay in the cache


def check_batch(
    xs: Any,
    *,
    shape: tuple[int, ...] | None = None,
    support: tuple[float, float] = (0.0, 1.0),
    integer_unit: int = 255,
    whole: bool = False,
    call: str,
) -> None:
    """Refuse a batch that a model cannot be trained or scored on, before anything compiles.

    Values are read once; bytes that are pixels are always within range.

    **Arguments:**

    - `xs`: the batch, on the host or a device, examples along the first axis.
    - `shape`: of one example, or `None` to take any.
    - `support`: the smallest and the largest value a number may have; infinities leave an end open, but
      what is not finite is refused all the same.
    - `integer_unit`: which whole number stands for 1: 255 where bytes are pixels.
    - `whole`: whether floats have to be whole numbers, as counts and classes.
    - `call`: what the user called, with the argument's name, e.g. `"fit(images)"`, for the messages.

    **Raises:** `ValueError` that says what was found, where, and what to do: not an array, no numbers
    that it takes, no batch axis, another shape, no examples, NaN, infinities, values outside the support.
    """
    if not isinstance(xs, jax.Array | np.ndarray):
        raise ValueError(f"`{call}` needs a NumPy or JAX array, got {type(xs).__name__}; pass np.asarray(...) of it")
    is_float = jax.numpy.issubdtype(xs.dtype, jax.numpy.floating)
    is_integer = jax.numpy.issubdtype(xs.dtype, jax.numpy.integer)
    numbers = xs.dtype in (np.uint8, np.bool_) or (is_integer and integer_unit == 1)
    if not (is_float or numbers):
        raise ValueError(
            f"`{call}` needs {'whole numbers' if integer_unit == 1 else 'bytes (uint8, 0..255)'} or floats, got dtype "
            f"{xs.dtype}; cast with .astype('uint8') or .astype('float32')"
        )
    _check_shape(xs.shape, shape, call)
    if not (xs.dtype == np.uint8 and integer_unit == 255) and xs.dtype != np.bool_:
        ends = support if is_float else (support[0] * integer_unit, support[1] * integer_unit)
        _check_values(np.asarray(xs), ends, whole and is_float, call)


def _check_shape(found: tuple[int, ...], shape: tuple[int, ...] | None, call: str) -> None:
    if shape is None:
        if len(found) < 1:
            raise ValueError(f"`{call}` needs a batch axis, got a scalar; pass an array of shape (n, ...)")
    elif found[1:] != tuple(shape) or len(found) < 1:
        shape = tuple(shape)
        wanted = "(n, " + ", ".join(map(str, shape)) + ")" if shape else "(n,)"
        raise ValueError(f"`{call}` needs shape {wanted}, got {found}; {_way_out(found, shape)}")
    if math.prod(found) == 0:
        raise ValueError(f"`{call}` needs at least one example, got an empty batch of shape {found}; pass some data")


def _way_out(found: tuple[int, ...], shape: tuple[int, ...]) -> str:
    if found == shape:
        return "add the batch axis: xs[None]"
    if found[1:] == shape[1:] and shape[:1] == (1,):
        return "add the channel axis: xs[:, None]"
    if len(shape) == 3 and found[1:] == (*shape[1:], shape[0]):
        return "put the channels first: xs.transpose(0, 3, 1, 2)"
    if len(found) > 1 and math.prod(found[1:]) == math.prod(shape):
        return f"reshape it: xs.reshape{(found[0], *shape)}"
    return "pass examples of the shape the model was built for, or build the model for these"


def _check_values(xs: np.ndarray, support: tuple[float, float], whole: bool, call: str) -> None:
    low, high = support
    flat = xs.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        # NaN comes through min and max, and fails both comparisons.
        smallest, largest = float(chunk.min()), float(chunk.max())
        inside = low <= smallest and largest <= high and math.isfinite(smallest) and math.isfinite(largest)
        if inside and not (whole and (chunk != np.round(chunk)).any()):
            continue
        bad = ~np.isfinite(chunk) | (chunk < low) | (chunk > high)
        if inside:
            bad = chunk != np.round(chunk)
        position = start + int(np.argmax(bad))
        value = float(flat[position])
        index = tuple(int(i) for i in np.unravel_index(position, xs.shape))
        kind = "whole numbers" if whole else "values"
        limited = math.isfinite(low) or math.isfinite(high)
        wanted = f"{kind} in [{low:g}, {high:g}]" if limited else "numbers"
        cure = _cure(value, support, xs.dtype)
        raise ValueError(f"`{call}` needs finite {wanted}, got {flat[position]!s} at index {index}; {cure}")


def _cure(value: float, support: tuple[float, float], dtype: np.dtype) -> str:
    if not math.isfinite(value):
        return "remove or repair such examples, e.g. with np.nan_to_num"
    if support == (0.0, 1.0) and not np.issubdtype(dtype, np.floating):
        return "these are pixels and no bits: pass `observe=zoo.data.binarise`, or `xs > 127`"
    if support == (0.0, 1.0) and 1 < value <= 255:
        return "divide by 255, or pass the bytes as uint8"
    if support != (0.0, 1.0):
        return "use a likelihood that takes such values"
    return "scale the data to that range"
