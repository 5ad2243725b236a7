from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._draws import Draws
from ..evaluate import check_evaluation, check_examples
from ..models import AbstractVAE
from ..objectives import at_step


def check_fit(
    model: AbstractVAE,
    xs: Any,
    held_out: Any,
    *,
    objective: Callable,
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
    check_objective(objective, k)


def check_objective(objective: Callable, k: int) -> None:
    """Let the objective refuse its parameters or this k: it is asked for the shape of its value only."""
    draws = jax.eval_shape(lambda: Draws(jnp.zeros((k, 1)), *([jnp.zeros(k)] * 3), kl=jnp.zeros(())))
    value = jax.eval_shape(at_step(objective, 0), draws)
    if getattr(value, "shape", None) != ():
        raise ValueError(
            f"`fit(objective=...)` needs a scalar for the draws of one example, got {value}; reduce over k in it"
        )
