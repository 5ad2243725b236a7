from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from ..models import AbstractVAE
from ._step import TrainState, count_skipped


def count_sound(rows: list[dict[str, Any]], state: TrainState) -> int:
    """Counts the steps of a block before the first whose loss or gradient is not finite.

    All of them count where the optimiser leaves such batches out (`optax.apply_if_finite`) and the weights are finite.

    **Arguments:** `rows`: the block's rows of the history; `state`: after the block.
    """
    bad = [i for i, row in enumerate(rows) if not np.isfinite([row["loss"], row["gradient_norm"]]).all()]
    forgiven = not bad or (count_skipped(state.opt_state) and bool(is_finite(state.model)))
    return len(rows) if forgiven else bad[0]


def make_not_finite_error(row: dict[str, Any], batch: Any, newest: Path | None, reason: str) -> FloatingPointError:
    """Makes the error that names the step, what broke first, the examples of its batch and the checkpoint before it."""
    indices = np.array2string(np.asarray(batch), separator=", ", max_line_width=10**9, threshold=1000)
    return FloatingPointError(
        f"`fit` stopped at step {row['step']}: loss {row['loss']}, gradient norm {row['gradient_norm']}: "
        f"{reason}. Else lower the learning rate, clip the gradient (`optax.clip_by_global_norm`), leave such batches "
        f"out (`optax.apply_if_finite`), or look at the examples {indices}; the last good checkpoint is "
        f"{newest or 'none, for want of `checkpoint=`'}"
    )


@eqx.filter_jit
def is_finite(model: AbstractVAE) -> Bool[Array, ""]:
    """Whether all weights of a model are finite numbers.

    **Arguments:** `model`: any model, trained or not.
    """
    leaves = jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
