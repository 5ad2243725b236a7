from typing import TypeGuard

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


def check_weight(call: str, name: str, value: Real) -> None:
    """Refuse a weight that is negative, infinite or not a number."""
    if is_number(value) and not 0 <= value < float("inf"):
        raise ValueError(f"`{call}({name}={value})`: `{name}` weighs a penalty; pass a finite number >= 0")
