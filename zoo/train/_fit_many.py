import time
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Key

from .. import data
from ..estimators import reparameterised
from ..models import AbstractVAE
from ..objectives import elbo
from ._blocks import as_rows, block_of, order, paced, replicate, split
from ._checks import check_fit, check_many
from ._fit import Fit
from ._guard import is_finite
from ._measure import measurement
from ._step import TrainState


def fit_many(
    models: Sequence[AbstractVAE],
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    values: Sequence[float] | None = None,
    settings: Callable[[Any], dict[str, Any]] | None = None,
    batch_size: int = 128,
    epochs: int = 1,
    held_out: Array | np.ndarray | None = None,
    held_out_ys: Array | np.ndarray | None = None,
    mesh: Mesh | None = None,
    keys: Key[Array, " n"],
    **common: Any,
) -> list[Fit]:
    """Trains several models at once, in one program, each as `fit` would train it alone.

    `fit_many(models, xs, values=[1.0, 4.0], settings=lambda beta: dict(objective=partial(beta_elbo, beta=beta)),
    keys=keys)` is a sweep over beta; `settings=lambda rate: dict(optimiser=optax.adam(rate))` one over the learning
    rate; several seeds need neither.

    Small models are bound by one core, so on a CPU the gain is in a device for each: call
    `jax.config.update("jax_num_cpu_devices", cores)` before jax starts, and pass `mesh=train.data_mesh()`
    (`benchmarks/fit_many.py`).

    **Arguments:**

    - `models`: N models that differ in their weights only.
    - `values`: a number for each model.
    - `settings`: a number to what depends on it: `objective`, `optimiser`, `penalties`, `observe`. It is called with
      each number first, and then with a traced one.
    - `mesh`: devices that share the models, from `train.data_mesh`; N is a multiple of their number.
    - `keys`: one for each model, `(N,)`.
    - `common`: `objective`, `k`, `observe`, `optimiser`, `estimator`, `penalties`, `microbatches`; with the others as
      in `fit`.

    **Returns:** N `Fit`s. A run whose loss stops being finite does not stop the others: see its history.

    **Raises:** `ValueError` where `fit` would, or the models, values and keys do not fit together.
    """
    values = list(values) if values is not None else [0.0] * len(models)
    settings = _nothing if settings is None else settings
    check_many(models, values, keys, common, mesh)
    defaults = dict(
        objective=elbo, k=1, observe=data.scale, optimiser=_ADAM, estimator=reparameterised, penalties=(),
        microbatches=1,
    )  # fmt: skip
    common = defaults | {name: value for name, value in common.items() if value is not None}
    alone = [common | settings(value) for value in values]
    for model, own in zip(models, alone):
        check_fit(
            model, xs, held_out, ys=ys, held_out_ys=held_out_ys, objective=own["objective"], k=own["k"],
            batch_size=batch_size, epochs=epochs, observe=own["observe"], microbatches=own["microbatches"],
            penalties=own["penalties"],
        )  # fmt: skip
    held_out_keys, run_keys = zip(*(jr.split(key) for key in keys))
    states = [TrainState(model, own["optimiser"], key=key) for model, own, key in zip(models, alone, run_keys)]
    stacked, static = _stack(states)
    stacked, traced = split((stacked, jnp.asarray(values, jnp.float32)), mesh)
    data_set = replicate((jnp.asarray(xs), None if ys is None else jnp.asarray(ys)), mesh)
    judged = ("objective", "k", "observe")
    measures = [
        measurement(xs, ys, held_out, held_out_ys, **{name: own[name] for name in judged}) for own in alone
    ]  # fmt: skip
    histories: list[list[dict[str, Any]]] = [[] for _ in models]
    best, highest = list(models), [-np.inf] * len(models)
    steps, block = len(xs) // batch_size, 1
    for epoch in range(epochs):
        orders = split(_orders(stacked.key, jnp.uint32(epoch), len(xs)), mesh)
        first = 0
        while first < steps:
            count, started = min(block, steps - first), time.perf_counter()
            stacked, metrics = _run_many(
                stacked, static, traced, data_set, orders, jnp.int32(first), jnp.int32(count),
                settings=settings, batch_size=batch_size, common=common,
            )  # fmt: skip
            first += count
            metrics = {name: np.asarray(column) for name, column in metrics.items()}
            for i, history in enumerate(histories):
                own_metrics = {name: column[i] for name, column in metrics.items()}
                history += as_rows(own_metrics, count, epoch * steps + first, epoch)
            block = paced(block, (time.perf_counter() - started) / count)
        if held_out is not None:
            for i, state in enumerate(_unstack(stacked, static, len(models))):
                value = measures[i](state.model, held_out_keys[i]) if is_finite(state.model) else float("nan")
                histories[i].append(dict(step=(epoch + 1) * steps, epoch=epoch, split="held_out", objective=value))
                if value > highest[i]:
                    best[i], highest[i] = state.model, value
    return [
        Fit(state.model, history, state, model if value > -np.inf else None)
        for state, history, model, value in zip(_unstack(stacked, static, len(models)), histories, best, highest)
    ]


_ADAM = optax.adam(1e-3)


def _nothing(value: Any) -> dict[str, Any]:
    return {}


@eqx.filter_jit
def _orders(keys, epoch, n):
    """The order of the examples in this epoch for each model, made where its model is."""
    return jax.vmap(lambda key: order(key, epoch, n))(keys)


@eqx.filter_jit
def _run_many(stacked, static, values, data_set, orders, first, count, *, settings, batch_size, common):
    def run(dynamic, value, order):
        state = eqx.combine(dynamic, static)
        own = common | settings(value)
        state, block = block_of(state, data_set, order, first, count, batch_size=batch_size, mesh=None, **own)
        return eqx.filter(state, eqx.is_array), block

    return jax.vmap(run)(stacked, values, orders)


def _stack(states: list[TrainState]) -> tuple[Any, Any]:
    dynamic, static = zip(*(eqx.partition(state, eqx.is_array) for state in states))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *dynamic), static[0]


def _unstack(stacked: Any, static: Any, n: int) -> list[TrainState]:
    # By way of NumPy: a program for each leaf of each model would take longer than many a training step.
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    whole = jax.tree.map(lambda leaf: leaf if is_key(leaf) else np.asarray(leaf), stacked)
    row = lambda leaf, i: leaf[i] if is_key(leaf) else jnp.asarray(leaf[i])
    return [eqx.combine(jax.tree.map(lambda leaf: row(leaf, i), whole), static) for i in range(n)]
