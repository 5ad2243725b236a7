import math
from collections.abc import Callable
from typing import Any

from jaxtyping import PRNGKeyArray

from ..evaluate import bound
from ..models import AbstractVAE
from ._freeze import freeze


def measurement(
    xs: Any, ys: Any, held_out: Any, held_out_ys: Any, *, objective: Callable, k: int, observe: Callable
) -> Callable[[AbstractVAE, PRNGKeyArray], float]:
    """The mean objective of the held-out examples, as a function of the model and of a key that stays the same;
    NaN where it is not finite."""

    def measure(model: AbstractVAE, key: PRNGKeyArray) -> float:
        frozen = freeze(model, xs, ys=ys, observe=observe, examples=512, key=key)
        try:
            values = bound(frozen, held_out, ys=held_out_ys, objective=objective, k=k, observe=observe, key=key)
        except FloatingPointError:  # one held-out example of infinite weight is no reason to stop training
            return math.nan
        return float(values.mean())

    return measure
