from typing import Any, TypeGuard

import numpy as np

from ._custom_types import Scalar
from ._draws import Draws


# A hyperparameter: a Python number, checked before anything is compiled, or a traced scalar, so that a
# schedule can change it without a retrace.
Real = int | float | Scalar


def is_number(value: Real) -> TypeGuard[int | float]:
    """Whether a hyperparameter's value is known before compilation."""
    return isinstance(value, int | float)


def number_of_draws(draws: Draws) -> int:
    return draws.log_likelihood.shape[0]


def check_counts(call: str, *, at_least: int = 1, **counts: Any) -> None:
    """Refuse sizes, numbers of draws, steps and the like that are no whole numbers, or too small.

    **Arguments:** `call`: what the user called, for the message; `counts`: each under its name, a number or a tuple.

    **Raises:** `ValueError` that names the first such argument.
    """
    for name, count in counts.items():
        numbers = count if isinstance(count, tuple | list) else (count,)
        if not numbers or not all(isinstance(number, int | np.integer) and number >= at_least for number in numbers):
            wanted = "a whole number" if numbers is not count else "whole numbers"
            raise ValueError(f"`{call}({name}={count})` needs {wanted}; pass {name} >= {at_least}")


def check_weight(call: str, name: str, value: Real) -> None:
    """Refuse a weight that is negative, infinite or not a number."""
    if is_number(value) and not 0 <= value < float("inf"):
        raise ValueError(f"`{call}({name}={value})`: `{name}` weighs a penalty; pass a finite number >= 0")


def check_scalar(call: str, value: Any) -> Scalar:
    """The objective's value, if it is a scalar for the draws of one example."""
    shape = getattr(value, "shape", ())
    if shape != ():
        raise ValueError(
            f"`{call}` needs a scalar for the draws of one example, got an array of shape {shape}; reduce over k in it"
        )
    return value
