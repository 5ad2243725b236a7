from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from ._likelihood import AbstractLikelihood


def find_integer_unit(likelihood: Any, data_shape: tuple[int, ...], dtype: Any) -> int:
    """Find which whole number stands for 1 among data of this type: 255 where bytes are pixels.

    **Arguments:** `likelihood`; `data_shape`: of one example; `dtype`: of the data.
    """
    if dtype == np.bool_:
        return 1
    says: Any = likelihood
    if isinstance(likelihood, AbstractLikelihood) and says.integer_unit is not None:
        return says.integer_unit
    return 255 if dtype == np.uint8 and len(data_shape) == 3 else 1


def read(likelihood: Any, xs: Shaped[Array | np.ndarray, " n ..."]) -> Float[Array | np.ndarray, " n ..."]:
    """Read examples as the numbers that they stand for: floats as they are, whole numbers as the likelihood takes them.

    **Arguments:** `likelihood`; `xs`: examples along the first axis.
    """
    if jnp.issubdtype(xs.dtype, jnp.floating):
        return xs
    unit = find_integer_unit(likelihood, xs.shape[1:], xs.dtype)
    return xs.astype(np.float32) if unit == 1 else xs.astype(np.float32) / unit
