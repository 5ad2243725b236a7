from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Key

from ..models import AbstractVAE
from ._blocks import copy_to_devices, divide_batch, draw_order, make_rows, run_blocks, take_steps
from ._checks import check_alike, check_fit, check_many
from ._fit import Fit
from ._measure import Best, Examples
from ._recipe import choose_batch_size, write_recipe
from ._start import start_untrained
from ._step import TrainState


def fit_many(
    models: Sequence[AbstractVAE],
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    values: Sequence[float] | None = None,
    settings: Callable[[Any], dict[str, Any]] | None = None,
    batch_size: int | None = None,
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
    settings = _vary_nothing if settings is None else settings
    check_many(models, values, keys, common, mesh)
    common = {name: value for name, value in common.items() if value is not None}
    batch_size = choose_batch_size(batch_size, xs, microbatches=common.get("microbatches", 1))
    common |= dict(batch_size=batch_size)
    recipes = [write_recipe(**(common | settings(value))) for value in values]
    for model, recipe in zip(models, recipes):
        check_fit(
            model, xs, held_out, ys=ys, held_out_ys=held_out_ys, judgement=recipe.judgement, batch_size=batch_size,
            epochs=epochs, observe=recipe.observe, microbatches=recipe.microbatches,
        )  # fmt: skip
    held_out_keys, run_keys = zip(*(jr.split(key) for key in keys))
    models = [
        start_untrained(model, xs, observe=recipe.observe, key=jr.fold_in(key, 0))
        for model, recipe, key in zip(models, recipes, held_out_keys)
    ]
    check_alike(models)  # a model that is trained is not started, and cannot share a program with one that was
    examples = Examples(xs, ys, held_out, held_out_ys)
    bests = [Best(model, examples, own, [], key=key) for model, own, key in zip(models, recipes, held_out_keys)]
    states = [TrainState(model, own.optimiser, key=key) for model, own, key in zip(models, recipes, run_keys)]
    stacked, static = _stack(states)
    stacked, traced = divide_batch((stacked, jnp.asarray(values, jnp.float32)), mesh)
    data_set = copy_to_devices((jnp.asarray(xs), None if ys is None else jnp.asarray(ys)), mesh)
    histories: list[list[dict[str, Any]]] = [[] for _ in models]
    steps, run_keys = len(xs) // batch_size, stacked.key
    blocks = run_blocks(
        lambda stacked, orders, first, count: _run_many(
            stacked, static, traced, data_set, orders, first, count, settings=settings, common=common
        ),
        lambda epoch: divide_batch(_draw_orders(run_keys, jnp.uint32(epoch), len(xs)), mesh),
        stacked, done=0, total=epochs * steps, steps=steps, limit=lambda done, at_most: at_most,
    )  # fmt: skip
    for block in blocks:
        stacked = block.state
        for i, history in enumerate(histories):
            columns = {name: column[i] for name, column in block.columns.items()}
            history += make_rows(columns, block.taken, block.done, block.epoch)
        if held_out is not None and block.done % steps == 0:
            for state, best, history in zip(_unstack(stacked, static, len(models)), bests, histories):
                history.append(best.measure(state.model, block.done, block.epoch))
    return [
        Fit(state.model, history, state, best.found)
        for state, history, best in zip(_unstack(stacked, static, len(models)), histories, bests)
    ]


def _vary_nothing(value: Any) -> dict[str, Any]:
    return {}


@eqx.filter_jit
def _draw_orders(keys, epoch, n):
    """Draws the order of the examples in an epoch for each model, where its model is."""
    return jax.vmap(lambda key: draw_order(key, epoch, n))(keys)


@eqx.filter_jit
def _run_many(stacked, static, values, data_set, orders, first, count, *, settings, common):
    """Does what `run_block` does, for each model with its own value, under `jax.vmap`."""

    def run(dynamic, value, order):
        # The mesh has a model on each device, so that no batch is divided.
        recipe = write_recipe(**(common | settings(value)))
        state, columns = take_steps(eqx.combine(dynamic, static), data_set, order, first, count, recipe)
        return eqx.filter(state, eqx.is_array), columns

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
