import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import data


_ANY = (-math.inf, math.inf)


def check_codes(
    call: str, codes: Any, factors: Any, *, latents: int = 1
) -> tuple[Float[np.ndarray, " n latents"], Int[np.ndarray, " n factors"]]:
    """Check codes and factors; return the codes in float64 and the factors' values numbered from 0, on the host.

    **Raises:** `ValueError` where the factors are missing, no integers, constant or of another number of rows than
    the codes, and where the codes are empty, not finite or fewer than `latents` columns.
    """
    data.check_batch(codes, support=_ANY, call=f"{call}(codes)")
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] < latents:
        columns = f"with at least {latents} columns" if latents > 1 else "of one row a code"
        raise ValueError(
            f"`{call}(codes)` needs shape (n, latents) {columns}, got {codes.shape}; `zoo.encode` gives such codes"
        )
    n = len(codes)
    if factors is None:
        raise ValueError(
            f"`{call}(factors=None)`: the {n} codes need the factors that their data were made of, "
            f"shape ({n}, factors); `data.sprites().sample` and `.grid` give them, real data have none"
        )
    factors = np.asarray(factors)
    if factors.ndim != 2 or len(factors) != n or factors.shape[1] == 0:
        raise ValueError(
            f"`{call}` needs one row of factors for each code: {n} codes, factors of shape {factors.shape}; "
            f"pass factors of shape ({n}, factors)"
        )
    if not np.issubdtype(factors.dtype, np.integer):
        raise ValueError(
            f"`{call}(factors)` needs integers, the number of each factor's value, got dtype {factors.dtype}; "
            "number the values with np.unique(column, return_inverse=True), after binning if they are continuous"
        )
    numbered = [np.unique(column, return_inverse=True) for column in factors.T]
    for i, (values, _) in enumerate(numbered):
        if len(values) < 2:
            raise ValueError(
                f"`{call}(factors)`: factor {i} is {values[0]} in all {n} rows, and nothing can be said about it; "
                "leave its column out"
            )
    return codes.astype(np.float64), np.stack([index for _, index in numbered], axis=1).astype(np.int64)


def check_columns(call: str, name: str, columns: Any, count: int) -> tuple[int, ...]:
    """Check numbers of columns, and return them counted from the front."""
    for column in columns:
        if not isinstance(column, int | np.integer) or not -count <= column < count:
            raise ValueError(f"`{call}({name}={tuple(columns)})`: there are {count} factors; count them from 0")
    return tuple(sorted({column % count for column in columns}))


def as_points(call: str, xs: Any) -> Float[Array, " n size"]:
    """Turn features or images into rows of floats on the device; bytes are scaled to [0, 1].

    **Raises:** `ValueError` for what is empty, not finite or neither bytes nor floats.
    """
    data.check_batch(xs, support=_ANY, call=call)
    return _rows(jnp.asarray(xs))


def as_pair(
    call: str, name: str, xs: Any, other: str, ys: Any
) -> tuple[Float[Array, " n size"], Float[Array, " m size"]]:
    """Turn two sets of points of the same space into rows of floats.

    **Raises:** `ValueError` as in `as_points`, and where one point has another shape in one than in the other.
    """
    points, others = as_points(f"{call}({name})", xs), as_points(f"{call}({other})", ys)
    if xs.shape[1:] != ys.shape[1:]:
        raise ValueError(
            f"`{call}` needs points of one space: one of `{name}` has shape {xs.shape[1:]}, one of `{other}` "
            f"{ys.shape[1:]}; take both as images, or both as features"
        )
    return points, others.astype(points.dtype)


@jax.jit
def _rows(xs):
    return jax.vmap(lambda x: data.scale(x).reshape(-1))(xs)


def check_probe_labels(call: str, name: str, labels: Any, n: int) -> Int[np.ndarray, " n"]:
    """Check that there is one integer label for each of n codes, and return them as an array.

    **Raises:** `ValueError` otherwise.
    """
    if labels is None:
        raise ValueError(f"`{call}({name}=None)`: a probe needs the label of each of the {n} codes, shape ({n},)")
    labels = np.asarray(labels)
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`{call}({name})` needs one integer label for each of the {n} codes, shape ({n},), got {labels.shape} of "
            f"dtype {labels.dtype}; pass the labels of the same rows"
        )
    return labels.astype(np.int64)
