from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..models import given, observe_example
from ._alive import draws_alive
from ._parts import part_size


def map_examples(
    function: Callable,
    model: Any,
    xs: Array | np.ndarray,
    ys: Array | np.ndarray | None,
    *,
    observe: Callable | None,
    at_once: int,
    per_call: int,
    progress: str | None,
    key: PRNGKeyArray,
) -> PyTree[Array]:
    """Map `function(model, x, key=...)` over the examples, and stack the results.

    Where examples have labels, each is given to the model first.

    Example i is observed and judged with keys made of `fold_in(key, i)`, so the answer does not depend on
    how the examples are grouped.

    **Arguments:** `observe`: as in `zoo.fit`; `at_once`, `per_call`, `progress`: as in `map_rows`.
    """
    rows = (xs, ys, np.arange(len(xs), dtype=np.uint32))
    judge = eqx.Partial(_judge, function, model, observe, key)
    return map_rows(judge, rows, at_once=at_once, per_call=per_call, progress=progress)


def map_draws(
    function: Callable,
    model: Any,
    xs: Array | np.ndarray,
    ys: Array | np.ndarray | None,
    *,
    k: int,
    observe: Callable | None,
    progress: str | None,
    key: PRNGKeyArray,
) -> PyTree[Array]:
    """Map a function that makes `k` draws of one example, as `map_examples`, as many at once as memory is good for."""
    at_once = max(10 * draws_alive(model, ys) // k, 1)
    return map_examples(
        eqx.Partial(function, k=k),
        model,
        xs,
        ys,
        observe=observe,
        at_once=at_once,
        per_call=4 * at_once,
        progress=progress,
        key=key,
    )


def _judge(function, model, observe, key, row):
    x, y, i = row
    observe_key, function_key = jr.split(jr.fold_in(key, i))
    return function(given(model, y), observe_example(model, observe, x, key=observe_key), key=function_key)


def map_rows(
    function: Callable, rows: PyTree[Array | np.ndarray], *, at_once: int, per_call: int, progress: str | None
) -> PyTree[Array]:
    """Map `function(row)` over the rows of the arrays, and stack the results.

    **Arguments:** `at_once`: the most rows that are mapped together; `per_call`: the most rows that a compiled call is
    given, which then maps them part by part; `progress`: the progress bar's text, or `None` for no bar.
    """
    from tqdm import tqdm

    # A NumPy number would be traced, and none can be a size.
    function = jax.tree.map(lambda leaf: leaf.item() if isinstance(leaf, np.integer) else leaf, function)
    n = len(jax.tree.leaves(rows)[0])
    at_once = part_size(n, at_once)
    per_call = at_once * part_size(-(-n // at_once), max(per_call // at_once, 1))
    results = []
    with tqdm(total=n, unit=" examples", desc=progress, disable=progress is None) as bar:
        for start in range(0, n, per_call):
            # The last call is filled up with repeats, so that all calls share one program.
            index = np.minimum(np.arange(start, start + per_call), n - 1)
            result = _map_compiled(function, jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), rows), at_once)
            if progress is not None:
                jax.block_until_ready(result)  # or the bar would tell what was asked for, not what is done
            count = min(per_call, n - start)
            results.append(jax.tree.map(lambda leaf: leaf[:count], result))
            bar.update(count)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *results)


@eqx.filter_jit
def _map_compiled(function, rows, at_once):
    if at_once >= len(jax.tree.leaves(rows)[0]):
        return jax.vmap(function)(rows)
    return lax.map(function, rows, batch_size=at_once)
