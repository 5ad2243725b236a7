from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
from jax.sharding import Mesh

from ..estimators import reparameterised
from ..objectives import elbo
from ._judgement import Judgement


# One object for all runs: with another of the same numbers, jax would compile the same program again.
_ADAM = optax.adam(1e-3)
_BATCH = 128


class Recipe(eqx.Module):
    """What all steps of a run have in common: how a batch is seen and judged, and what its gradient does."""

    judgement: Judgement
    observe: Callable | None
    optimiser: Any
    batch_size: int
    microbatches: int
    mesh: Mesh | None


def choose_batch_size(given: int | None, xs: Any, *, microbatches: int = 1, mesh: Mesh | None = None) -> int:
    """The batch size that was given; or else 128, or of fewer examples as many as all parts can share equally."""
    if given is not None:
        return given
    if not isinstance(xs, np.ndarray | jax.Array) or xs.ndim == 0 or len(xs) >= _BATCH:
        return _BATCH
    parts = max(microbatches, 1) * (1 if mesh is None else mesh.size)
    return max(len(xs) // parts, 1) * parts


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
    return Recipe(judgement, observe, _ADAM if optimiser is None else optimiser, batch_size, microbatches, mesh)
