from collections.abc import Callable
from typing import Any

from ..evaluate import check_evaluation, check_examples
from ..models import AbstractVAE


def check_fit(
    model: AbstractVAE,
    xs: Any,
    held_out: Any,
    *,
    k: int,
    batch_size: int,
    epochs: int,
    observe: Callable | None,
) -> None:
    """Refuse a training run that cannot work, in Python and before anything compiles."""
    check_evaluation("fit", model, xs, k=k, observe=observe)
    if held_out is not None:
        check_examples("fit(held_out)", model, held_out)
    if epochs < 1:
        raise ValueError(f"`fit(epochs={epochs})`: at least one epoch is needed; pass epochs >= 1")
    if batch_size < 1:
        raise ValueError(f"`fit(batch_size={batch_size})`: at least one example is needed; pass batch_size >= 1")
    if batch_size > len(xs):
        raise ValueError(
            f"`fit(batch_size={batch_size})` needs at least {batch_size} examples, got {len(xs)}; "
            "pass a smaller batch_size"
        )
