import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .. import data
from .._draws import Draws
from ..estimators import reparameterised
from ..evaluate import bound
from ..models import AbstractVAE
from ..objectives import elbo
from ._checks import check_fit
from ._freeze import freeze
from ._step import TrainState, advance, step_keys


class Fit(NamedTuple):
    """What training leaves.

    **Fields:**

    - `model`: the trained model. With `BatchNorm` inside it still needs `zoo.freeze`.
    - `history`: one dictionary per step, `split="train"`: `step`, `epoch`, `loss`, `elbo`, `log_likelihood`,
      `rate` (nats per example), `gradient_norm`; and one per epoch with `split="held_out"`: `objective`.
    - `state`: the `TrainState` to go on from.
    """

    model: AbstractVAE
    history: list[dict[str, Any]]
    state: TrainState


def fit(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    objective: Callable[[Draws], Array] = elbo,
    k: int = 1,
    observe: Callable | None = None,
    optimiser: optax.GradientTransformation | None = None,
    batch_size: int = 128,
    epochs: int = 1,
    estimator: Callable = reparameterised,
    penalties: Sequence[Callable] = (),
    held_out: Array | np.ndarray | None = None,
    callback: Callable[[list[dict[str, Any]]], None] | None = None,
    progress: bool = True,
    key: PRNGKeyArray,
) -> Fit:
    """Trains a model on examples that fit on the device.

    Each epoch visits a fresh permutation in batches; the remainder that does not fill a batch waits for
    another epoch. Many steps run in each compiled call.

    **Arguments:**

    - `model`: any of the zoo's models.
    - `xs`: `(n, ...)`: uint8 pixels, or floats (images in [0, 1]).
    - `objective`, `k`, `estimator`, `penalties`: as in `zoo.loss`.
    - `observe`: what the model sees of an example, `(x, *, key) -> float array`, with fresh randomness at every
      visit: `data.dequantise` for continuous densities, `data.binarise` for Bernoulli pixels. Unless given,
      uint8 is divided by 255 and floats are taken as they are.
    - `optimiser`: from optax; `optax.adam(1e-3)` unless given.
    - `held_out`: examples whose mean objective is measured after each epoch, always with the same key.
    - `callback`: called with the new rows of the history whenever some leave the device.
    - `progress`: a progress bar on standard error.
    - `key`: all of the run's randomness.

    **Returns:** a `Fit`: `.model`, `.history`, `.state`.

    **Raises:** `ValueError`, before anything compiles, for data the model cannot take, `batch_size` above the
    number of examples, `k` or `epochs` below 1; `FloatingPointError` when the loss stops being finite.
    """
    optimiser = optax.adam(1e-3) if optimiser is None else optimiser
    check_fit(model, xs, held_out, objective=objective, k=k, batch_size=batch_size, epochs=epochs, observe=observe)
    observe = data.scale if observe is None else observe
    held_out_key, key = jr.split(key)
    settings = dict(
        objective=objective, k=k, estimator=estimator, penalties=tuple(penalties), observe=observe,
        optimiser=optimiser, batch_size=batch_size,
    )  # fmt: skip
    state = TrainState(model, optimiser, key=key)
    xs = jnp.asarray(xs)
    history: list[dict[str, Any]] = []

    def record(rows):
        history.extend(rows)
        if callback is not None:
            callback(rows)

    steps = len(xs) // batch_size
    with _bar(epochs * steps * batch_size, progress) as bar:
        for epoch in range(epochs):
            order = _order(state.key, epoch, len(xs))
            for state, metrics in _blocks(state, xs, order, steps, settings):
                rows = _rows(metrics, int(state.step), epoch)
                record(rows)
                _stop_if_not_finite(rows)
                bar.set_postfix(loss=f"{rows[-1]['loss']:.4g}", refresh=False)
                bar.update(len(rows) * batch_size)
            if held_out is not None:
                frozen = freeze(state.model, xs, observe=observe, examples=512, key=held_out_key)
                values = bound(frozen, held_out, objective=objective, k=k, observe=observe, key=held_out_key)
                record(
                    [
                        dict(
                            step=int(state.step),
                            epoch=epoch,
                            split="held_out",
                            objective=float(values.mean()),
                        )
                    ]
                )
    return Fit(state.model, history, state)


@eqx.filter_jit
def _order(key: PRNGKeyArray, epoch: Int[Array, ""] | int, n: int) -> Int[Array, " n"]:
    """The order of the examples in this epoch."""
    # Steps count from 0 upwards; epochs take the other end, so that no key serves twice.
    return jr.permutation(jr.fold_in(key, 0xFFFFFFFF - epoch), n)


_BLOCK = 256


def _blocks(state, xs, order, steps: int, settings) -> Iterator[tuple[TrainState, dict[str, np.ndarray]]]:
    """One epoch in compiled blocks of steps, each sized to take about half a second."""
    done, block = 0, 1
    while done < steps:
        start = time.perf_counter()
        count = min(block, steps - done)
        state, metrics = _run(state, xs, order, jnp.int32(done), jnp.int32(count), **settings)
        metrics = {name: np.asarray(values)[:count] for name, values in metrics.items()}
        done += count
        seconds = (time.perf_counter() - start) / count
        block = int(np.clip(0.5 / seconds, 1, min(_BLOCK, 4 * block)))
        yield state, metrics


@eqx.filter_jit
def _run(state, xs, order, first, count, *, observe, batch_size, **settings):
    """`count` steps from step `first` of the epoch. `count` is traced: every block is the same program."""
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(i, carry):
        dynamic, block = carry
        state = eqx.combine(dynamic, static)
        rows = lax.dynamic_slice_in_dim(order, (first + i) * batch_size, batch_size)
        observe_key, _ = step_keys(state)
        batch = jax.vmap(lambda x, key: observe(x, key=key))(xs[rows], jr.split(observe_key, batch_size))
        state, metrics = advance(state, batch, **settings)
        block = {name: block[name].at[i].set(value) for name, value in metrics.items()}
        return eqx.filter(state, eqx.is_array), block

    names = ("loss", "elbo", "log_likelihood", "rate", "gradient_norm")
    empty: dict[str, Float[Array, " steps"]] = {name: jnp.zeros(_BLOCK) for name in names}
    dynamic, block = lax.fori_loop(0, count, body, (dynamic, empty))
    return eqx.combine(dynamic, static), block


def _rows(metrics: dict[str, np.ndarray], last: int, epoch: int) -> list[dict[str, Any]]:
    count = len(metrics["loss"])
    return [
        dict(step=last - count + 1 + i, epoch=epoch, split="train")
        | {name: float(values[i]) for name, values in metrics.items()}
        for i in range(count)
    ]


def _stop_if_not_finite(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if not np.isfinite([row["loss"], row["gradient_norm"]]).all():
            raise FloatingPointError(
                f"`fit` stopped at step {row['step']}: loss {row['loss']}, gradient norm {row['gradient_norm']}; "
                "lower the learning rate, clip the gradient (`optax.clip_by_global_norm`), or look at the data"
            )


def _bar(total: int, progress: bool):
    from tqdm.auto import tqdm  # a few milliseconds nobody needs who trains silently

    return tqdm(total=total, unit=" images", unit_scale=True, disable=not progress, leave=True)
