from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import optax
from jax.sharding import Mesh

from .. import data
from ..estimators import reparameterised
from ..objectives import elbo
from ._judgement import Judgement


# One object for all runs: with another of the same numbers, jax would compile the same program again.
_ADAM = optax.adam(1e-3)


class Recipe(eqx.Module):
    """What all steps of a run have in common: how a batch is seen and judged, and what its gradient does."""

    judgement: Judgement
    observe: Callable
    optimiser: Any
    batch_size: int
    microbatches: int
    mesh: Mesh | None


def write_recipe(
    *,
    objective: Callable = elbo,
    k: int = 1,
    estimator: Callable = reparameterised,
    penalties: Sequence[Callable] = (),
    observe: Callable | None = None,
    optimiser: optax.GradientTransformation | None = None,
    batch_size: int,
    microbatches: int = 1,
    mesh: Mesh | None = None,
) -> Recipe:
    """Puts the options of `fit` together, with their defaults."""
    judgement = Judgement(objective, k, estimator, penalties)
    observe = data.scale if observe is None else observe
    return Recipe(judgement, observe, _ADAM if optimiser is None else optimiser, batch_size, microbatches, mesh)
