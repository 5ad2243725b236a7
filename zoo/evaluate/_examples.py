from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, PRNGKeyArray, PyTree

from ..models import given


def over_examples(
    function: Callable,
    model: Any,
    xs: Array | np.ndarray,
    ys: Array | np.ndarray | None,
    *,
    observe: Callable,
    at_once: int,
    block: int,
    progress: str | None,
    key: PRNGKeyArray,
) -> PyTree[Array]:
    """`function(model, x, key=...)` of every example, stacked; the model at the example's label, where there is one.

    Example i is observed and judged with keys made of `fold_in(key, i)`, so the answer does not depend on
    how the examples are grouped.

    **Arguments:** `at_once`: examples mapped together; `block`: examples to a compiled call; `progress`: the
    progress bar's text, or `None` for no bar.
    """
    from tqdm import tqdm

    at_once = min(at_once, len(xs))
    block = min(max(block // at_once, 1) * at_once, -(-len(xs) // at_once) * at_once)
    results = []
    with tqdm(total=len(xs), unit=" examples", desc=progress, disable=progress is None) as bar:
        for start in range(0, len(xs), block):
            # The last block is filled up with repeats, so that all blocks share one program.
            index = np.minimum(np.arange(start, start + block), len(xs) - 1)
            labels = None if ys is None else jnp.asarray(ys[index])
            rows = (jnp.asarray(xs[index]), labels, index.astype(np.uint32))
            result = _block(function, model, rows, observe, at_once, key)
            count = min(block, len(xs) - start)
            results.append(jax.tree.map(lambda leaf: leaf[:count], result))
            bar.update(count)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *results)


@eqx.filter_jit
def _block(function, model, rows, observe, at_once, key):
    def judge(row):
        x, y, i = row
        observe_key, function_key = jr.split(jr.fold_in(key, i))
        return function(given(model, y), observe(x, key=observe_key), key=function_key)

    if at_once >= len(rows[-1]):
        return jax.vmap(judge)(rows)
    return lax.map(judge, rows, batch_size=at_once)
