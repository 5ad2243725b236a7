import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, PRNGKeyArray

from .._draws import Draws
from ..estimators import reparameterised
from ..models import AbstractVAE
from ..objectives import elbo
from ._blocks import copy_to_devices, draw_order, make_rows, run_block, run_blocks
from ._checks import check_fit
from ._diagnose import diagnose
from ._guard import count_sound, make_not_finite_error
from ._measure import Best, Examples
from ._processes import agree_on_steps, broadcast_run, keeps_directory, take_own_copy
from ._recipe import Recipe, choose_batch_size, write_recipe
from ._start import start_untrained
from ._step import TrainState
from ._store import Store, open_store


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

    def __repr__(self) -> str:
        losses = [row["loss"] for row in self.history if row["split"] == "train"]
        measured = [row["objective"] for row in self.history if row["split"] == "held_out"]
        parts = [f"{int(self.state.step):,} steps"]
        if losses:
            parts.append(f"last loss {losses[-1]:.6g} nats")
        if measured:
            parts.append(f"held-out objective {measured[-1]:.6g} nats, the best {np.nanmax([-np.inf, *measured]):.6g}")
        return f"<Fit of {type(self.model).__name__}: {'; '.join(parts)}>"


def fit(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    objective: Callable[[Draws], Array] = elbo,
    k: int = 1,
    observe: Callable | None = None,
    optimiser: optax.GradientTransformation | None = None,
    batch_size: int | None = None,
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
      them in a row; the history counts them as `skipped`. `train.average(optimiser)` averages the weights. Optimisers
      that need more than the gradient get it (`optax.contrib.reduce_on_plateau`, `optax.lbfgs`): the batch's loss,
      and that loss as a function of the weights, with the same draws.
    - `batch_size`: examples to a step. Unless given 128, or as many as there are.
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
    batch_size = choose_batch_size(batch_size, xs, microbatches=microbatches, mesh=mesh)
    recipe = write_recipe(
        objective=objective, k=k, estimator=estimator, penalties=penalties, observe=observe, optimiser=optimiser,
        batch_size=batch_size, microbatches=microbatches, mesh=mesh,
    )  # fmt: skip
    check_fit(
        model, xs, held_out, ys=ys, held_out_ys=held_out_ys, judgement=recipe.judgement, batch_size=batch_size,
        epochs=epochs, observe=observe, held_out_every=held_out_every, checkpoint=checkpoint,
        checkpoint_every=checkpoint_every, resume=resume, mesh=mesh, microbatches=microbatches,
    )  # fmt: skip
    held_out_key, key = jr.split(key)
    examples = Examples(xs, ys, held_out, held_out_ys)
    directory = checkpoint if keeps_directory(mesh) else None
    with open_store(directory, checkpoint_every, examples=len(xs), batch_size=batch_size) as store:
        model = start_untrained(model, xs, observe=observe, key=jr.fold_in(held_out_key, 0))
        start = (TrainState(model, recipe.optimiser, key=key), None if held_out is None else model)
        # Only process 0 has a directory; the others go on from where it does.
        *found, history = store.restore(*start, resume=resume)
        (state, highest), history = broadcast_run(tuple(found), history, mesh)
        best = Best(highest, examples, recipe, history, key=held_out_key)

        def record(rows: list[dict[str, Any]]) -> None:
            store.append(rows)
            history.extend(rows)
            if callback is not None and rows:
                callback(rows)

        def stop_now() -> bool:
            return stop is not None and stop(history)

        state = _train(
            state, recipe, best, store, epochs=epochs, held_out_every=held_out_every, record=record, stop_now=stop_now,
            progress=progress,
        )  # fmt: skip
        store.save(state, best.model)
    return Fit(state.model, history, state, best.found)


def _train(
    state: TrainState, recipe: Recipe, best: Best, store: Store, *, epochs: int, held_out_every: int | None,
    record: Callable, stop_now: Callable[[], bool], progress: bool,
) -> TrainState:  # fmt: skip
    """Trains to the end of the last epoch; records, measures and saves on the way."""
    mesh, batch_size = recipe.mesh, recipe.batch_size
    xs, ys, held_out, _ = best.examples
    steps = len(xs) // batch_size
    every, total, done = held_out_every or steps, epochs * steps, int(state.step)
    data_set = copy_to_devices((jnp.asarray(xs), None if ys is None else jnp.asarray(ys)), mesh)
    # All devices hold the whole state; what this process does alone it does with its own copy.
    shared = copy_to_devices(state, mesh)
    state = take_own_copy(shared, mesh)

    def limit(done: int, at_most: int) -> int:
        # A block ends wherever something is due.
        due = min(at_most, every - done % every, store.steps_until_due(done))
        return agree_on_steps(0 if stop_now() else due, mesh)

    blocks = run_blocks(
        lambda state, order, first, count: run_block(state, data_set, order, first, count, recipe),
        lambda epoch: draw_order(shared.key, jnp.uint32(epoch), len(xs)),
        shared, done=done, total=total, steps=steps, limit=limit,
    )  # fmt: skip
    with _bar(total * batch_size, done * batch_size, progress) as bar:
        for block in blocks:
            before, state = state, take_own_copy(block.state, mesh)
            rows = make_rows(block.columns, block.taken, block.done, block.epoch)
            store.append_timing(block.done, block.taken, block.seconds)
            sound = count_sound(rows, state)
            # What is not finite has no place in the history that a resumed run goes on with.
            record(rows[:sound])
            if sound < block.taken:
                batch = np.asarray(block.order)[(block.first + sound) * batch_size :][:batch_size]
                if sound:
                    run = run_block(before, data_set, block.order, jnp.int32(block.first), jnp.int32(sound), recipe)
                    before = take_own_copy(run[0], mesh)
                examples, labels = jax.tree.map(lambda rows: jnp.asarray(rows[batch]), (xs, ys))
                reason = diagnose(before, examples, labels, recipe)
                raise make_not_finite_error(rows[sound], batch, store.newest(), reason)
            if held_out is not None and block.done % every == 0:
                record([best.measure(state.model, block.done, block.epoch)])
            store.save(state, best.model, due=True)
            bar.set_postfix(loss=f"{rows[-1]['loss']:.4g}", refresh=False)
            bar.update(block.taken * batch_size)
    return state


def _bar(total: int, done: int, progress: bool):
    from tqdm import tqdm  # a few milliseconds nobody needs who trains silently

    return tqdm(total=total, initial=done, unit=" images", unit_scale=True, disable=not progress, leave=True)
