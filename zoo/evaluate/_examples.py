from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, PRNGKeyArray, PyTree


def over_examples(
    function: Callable,
    model: Any,
    xs: Array | np.ndarray,
    *,
    observe: Callable,
    at_once: int,
    block: int,
    progress: str | None,
    key: PRNGKeyArray,
) -> PyTree[Array]:
    """`function(model, x, key=...)` of every example, stacked.

    Example i is observed and judged with keys made of `fold_in(key, i)`, so the answer does not depend on
    how the examples are grouped.

    **Arguments:** `at_once`: examples mapped together; `block`: examples to a compiled call; `progress`: the
    progress bar's text, or `None` for no bar.
    """
    from tqdm.auto import tqdm

    at_once = min(at_once, len(xs))
    block = min(max(block // at_once, 1) * at_once, -(-len(xs) // at_once) * at_once)
    results = []
    with tqdm(total=len(xs), unit=" examples", desc=progress, disable=progress is None) as bar:
        for start in range(0, len(xs), block):
            # The last block is filled up with repeats, so that all blocks share one program.
            index = np.minimum(np.arange(start, start + block), len(xs) - 1)
            result = _block(function, model, jnp.asarray(xs[index]), index.astype(np.uint32), observe, at_once, key)
            count = min(block, len(xs) - start)
            results.append(jax.tree.map(lambda leaf: leaf[:count], result))
            bar.update(count)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *results)


@eqx.filter_jit
def _block(function, model, xs, index, observe, at_once, key):
    def judge(x_and_index):
        x, i = x_and_index
        observe_key, function_key = jr.split(jr.fold_in(key, i))
        return function(model, observe(x, key=observe_key), key=function_key)

    if at_once >= len(xs):
        return jax.vmap(judge)((xs, index))
    return lax.map(judge, (xs, index), batch_size=at_once)
