import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import PRNGKeyArray

from ..evaluate import bound
from ..models import AbstractVAE
from ._freeze import freeze
from ._guard import is_finite
from ._recipe import Recipe


class Examples(NamedTuple):
    """What a run learns from, and what it is measured on: data and labels of each, or `None`."""

    xs: Any
    ys: Any
    held_out: Any
    held_out_ys: Any


class Best:
    """The model of a run whose mean objective on the held-out examples was highest so far."""

    def __init__(
        self,
        model: AbstractVAE | None,
        examples: Examples,
        recipe: Recipe,
        history: list[dict[str, Any]],
        *,
        key: PRNGKeyArray,
    ):
        """**Arguments:** `model`: the best of those that `history` has the measurements of; `key`: for all of them."""
        measured = [row["objective"] for row in history if row["split"] == "held_out"]
        self.model, self.highest = model, max(filter(np.isfinite, measured), default=-math.inf)
        self.examples, self.recipe, self.key = examples, recipe, key

    def measure(self, model: AbstractVAE, step: int, epoch: int) -> dict[str, Any]:
        """Measures a model, which takes the place of the best if it is better; the row of the history."""
        value = math.nan
        if is_finite(model):
            value = measure_held_out(model, self.examples, self.recipe, key=self.key)
        if value > self.highest:
            self.model, self.highest = model, value
        return dict(step=step, epoch=epoch, split="held_out", objective=value)

    @property
    def found(self) -> AbstractVAE | None:
        """The best model, if one was ever measured."""
        return self.model if self.highest > -math.inf else None


def measure_held_out(model: AbstractVAE, examples: Examples, recipe: Recipe, *, key: PRNGKeyArray) -> float:
    """Computes the mean objective of the held-out examples; NaN where it is not finite."""
    xs, ys, held_out, held_out_ys = examples
    judgement, observe = recipe.judgement, recipe.observe
    frozen = freeze(model, xs, ys=ys, observe=observe, examples=512, key=key)
    try:
        values = bound(
            frozen, held_out, ys=held_out_ys, objective=judgement.objective, k=judgement.k, observe=observe, key=key
        )
    except FloatingPointError:  # one held-out example of infinite weight is no reason to stop training
        return math.nan
    return float(values.mean())
