import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray

from .. import data
from .._draws import Draws
from ..estimators import reparameterised
from ..models import AbstractVAE
from ..objectives import elbo
from ._blocks import as_rows, order, paced, replicate, run_block
from ._checks import check_fit
from ._guard import last_sound, not_finite
from ._measure import measurement
from ._processes import agreed, held, told, writes
from ._step import TrainState
from ._store import open_store


class Fit(NamedTuple):
    """What training leaves.

    **Fields:**

    - `model`: the trained model. With `BatchNorm` inside it still needs `zoo.freeze`.
    - `history`: one dictionary per step, `split="train"`: `step`, `epoch`, `loss`, `elbo`, `log_likelihood`,
      `rate` (nats per example), `gradient_norm`; and one per measurement with `split="held_out"`: `objective`.
    - `state`: the `TrainState` to go on from.
    - `best`: the model when the held-out objective was highest; `None` if it was never measured.
    """

    model: AbstractVAE
    history: list[dict[str, Any]]
    state: TrainState
    best: AbstractVAE | None = None


def fit(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    objective: Callable[[Draws], Array] = elbo,
    k: int = 1,
    observe: Callable | None = None,
    optimiser: optax.GradientTransformation | None = None,
    batch_size: int = 128,
    epochs: int = 1,
    estimator: Callable = reparameterised,
    penalties: Sequence[Callable] = (),
    microbatches: int = 1,
    held_out: Array | np.ndarray | None = None,
    held_out_ys: Array | np.ndarray | None = None,
    held_out_every: int | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    stop: Callable[[list[dict[str, Any]]], bool] | None = None,
    mesh: Mesh | None = None,
    callback: Callable[[list[dict[str, Any]]], None] | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> Fit:
    """Trains a model on examples that fit on the device.

    Each epoch visits a fresh permutation in batches; the remainder that does not fill a batch waits for
    another epoch. Many steps run in each compiled call.

    With `checkpoint=` a run may end at any moment and in any way. The same call with `resume=True` goes on, and
    leaves bit for bit the model, the state and the history of a run that never stopped.

    **Arguments:**

    - `model`: any of the zoo's models.
    - `xs`: `(n, ...)`: uint8 pixels, or floats (images in [0, 1]).
    - `ys`: labels `(n, ...)`, for a `ConditionalVAE`.
    - `objective`, `k`, `estimator`, `penalties`: as in `zoo.loss`.
    - `observe`: what the model sees of an example, `(x, *, key) -> float array`, with fresh randomness at every
      visit: `data.dequantise` for continuous densities, `data.binarise` for Bernoulli pixels. Unless given,
      uint8 is divided by 255 and floats are taken as they are.
    - `optimiser`: from optax; `optax.adam(1e-3)` unless given. Schedules, clipping and weight decay are optax's.
      With `optax.apply_if_finite(optimiser, n)` a batch whose gradient is not finite changes nothing, up to n of
      them in a row; the history counts them as `skipped`. `train.average(optimiser)` averages the weights.
    - `microbatches`: parts of equal size into which each batch is cut. Their gradients are taken one after the other
      and averaged: the same gradient to rounding, in as much less memory. Not with penalties or `BatchNorm`, for
      which the batch is more than its examples.
    - `held_out`, `held_out_ys`: examples whose mean objective is measured, always with the same key.
    - `held_out_every`: steps from one measurement to the next; an epoch unless given.
    - `checkpoint`: a directory for the run's last two checkpoints, its history, `metrics.jsonl`, and its speed,
      `timing.jsonl`.
    - `checkpoint_every`: steps from one checkpoint to the next. Unless given 100, or as many hundreds as keep the
      cost below 2% of the time.
    - `resume`: go on from the newest whole checkpoint; from the start where there is none. `epochs` may grow, all
      else has to be as it was.
    - `stop`: `history -> bool`, asked between compiled calls; when it is true the run is saved and ends.
      `train.early_stopping` makes one.
    - `mesh`: devices that share each batch, from `train.data_mesh`; every one holds the model. They may be those of
      several processes (`jax.distributed`), each of which calls `fit` with the same arguments and reads its own rows;
      process 0 keeps the directory, and what it finds there is where all go on. `nn.BatchNorm` and penalties still
      see the whole batch, but a layer of your own that averages over the axis "batch" sees its device's share.
    - `callback`: called with the new rows of the history whenever some leave the device.
    - `progress`: a progress bar on standard error.
    - `key`: all of the run's randomness.

    **Returns:** a `Fit`: `.model`, `.history`, `.state`, `.best`.

    **Raises:** `ValueError`, before anything compiles, for data the model cannot take, `batch_size` above the
    number of examples, `k` or `epochs` below 1, microbatches that cannot be, a schedule longer than the run, a
    checkpoint of another run; `FloatingPointError` when the loss or its gradient stops being finite, with the step,
    the batch and the last checkpoint; `OSError` where the directory holds a run and `resume` is false, is in use, or
    cannot be written.
    """
    optimiser = optax.adam(1e-3) if optimiser is None else optimiser
    check_fit(
        model, xs, held_out, ys=ys, held_out_ys=held_out_ys, objective=objective, k=k, batch_size=batch_size,
        epochs=epochs, observe=observe, held_out_every=held_out_every, checkpoint=checkpoint,
        checkpoint_every=checkpoint_every, resume=resume, mesh=mesh, microbatches=microbatches, penalties=penalties,
    )  # fmt: skip
    observe = data.scale if observe is None else observe
    held_out_key, key = jr.split(key)
    settings = dict(
        objective=objective, k=k, estimator=estimator, penalties=tuple(penalties), observe=observe,
        optimiser=optimiser, batch_size=batch_size, microbatches=microbatches, mesh=mesh,
    )  # fmt: skip
    data_set = replicate((jnp.asarray(xs), None if ys is None else jnp.asarray(ys)), mesh)
    steps = len(xs) // batch_size
    total, held_out_every = epochs * steps, held_out_every or steps
    measure = measurement(xs, ys, held_out, held_out_ys, objective=objective, k=k, observe=observe)
    directory = checkpoint if writes(mesh) else None
    with open_store(directory, checkpoint_every, examples=len(xs), batch_size=batch_size) as store:
        best = None if held_out is None else model
        *found, history = store.restore(TrainState(model, optimiser, key=key), best, resume=resume)
        (state, best), history = told(tuple(found), history, mesh)
        shared, done = replicate(state, mesh), int(state.step)
        state = held(shared, mesh)
        measured = [row["objective"] for row in history if row["split"] == "held_out"]
        highest = max(filter(np.isfinite, measured), default=-np.inf)
        block, visited, batches = 1, -1, None

        def record(rows):
            store.append(rows)
            history.extend(rows)
            if callback is not None and rows:
                callback(rows)

        with _bar(total * batch_size, done * batch_size, progress) as bar:
            while done < total:
                epoch, first = divmod(done, steps)
                if epoch != visited:
                    visited, batches = epoch, order(shared.key, jnp.uint32(epoch), len(xs))
                # A block ends wherever something is due; where it ends changes nothing else.
                ahead = min(block, steps - first, held_out_every - done % held_out_every, store.steps_ahead(done))
                count = agreed(0 if stop is not None and stop(history) else ahead, mesh)
                if count == 0:
                    break
                started = time.perf_counter()
                shared, metrics = run_block(shared, data_set, batches, jnp.int32(first), jnp.int32(count), **settings)
                state = held(shared, mesh)
                done += count
                rows = as_rows(metrics, count, done, epoch)
                seconds = time.perf_counter() - started
                block = paced(block, seconds / count)
                store.timed(done, count, seconds)
                sound = last_sound(rows, state)
                record(rows[:sound])
                if sound < count:
                    batch = np.asarray(batches)[(first + sound) * batch_size :][:batch_size]
                    raise not_finite(rows[sound], batch, store.newest())
                if held_out is not None and done % held_out_every == 0:
                    value = measure(state.model, held_out_key)
                    record([dict(step=done, epoch=epoch, split="held_out", objective=value)])
                    if value > highest:
                        best, highest = state.model, value
                store.save(state, best, due=True)
                bar.set_postfix(loss=f"{rows[-1]['loss']:.4g}", refresh=False)
                bar.update(count * batch_size)
        store.save(state, best)
    return Fit(state.model, history, state, best if highest > -np.inf else None)


def _bar(total: int, done: int, progress: bool):
    from tqdm import tqdm  # a few milliseconds nobody needs who trains silently

    return tqdm(total=total, initial=done, unit=" images", unit_scale=True, disable=not progress, leave=True)
