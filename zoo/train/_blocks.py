from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from ._step import METRICS, advance, skipped, step_keys


BLOCK = 256


def paced(block: int, seconds: float) -> int:
    """How many steps the next block takes, when the last of `block` took so long per step: half a second of them.

    Slow steps are eight to a block as long as that is two seconds: the temporaries of a program, for which XLA asks the
    system at each call, then serve them all.
    """
    return int(np.clip(max(0.5 / seconds, min(8.0, 2.0 / seconds)), 1, min(BLOCK, 4 * block)))


@eqx.filter_jit
def order(key: PRNGKeyArray, epoch: UInt32[Array, ""], n: int) -> Int[Array, " n"]:
    """The order of the examples in this epoch, which is an array so that all epochs share one program."""
    # Steps count from 0 upwards; epochs take the other end, so that no key serves twice.
    return jr.permutation(jr.fold_in(key, ~epoch), n)


@eqx.filter_jit
def run_block(state, data_set, order, first, count, **settings):
    """`count` steps from step `first` of the epoch. `count` is traced: every block is the same program."""
    return block_of(state, data_set, order, first, count, **settings)


def block_of(state, data_set, order, first, count, *, observe, batch_size, mesh, **settings):
    """`run_block` without its own jit, for use inside a larger program."""
    state = replicate(state, mesh)
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(i, carry):
        dynamic, block = carry
        state = eqx.combine(dynamic, static)
        rows = split(lax.dynamic_slice_in_dim(order, (first + i) * batch_size, batch_size), mesh)
        observe_key, _ = step_keys(state)
        xs, ys = jax.tree.map(lambda array: array[rows], data_set)
        batch = jax.vmap(lambda x, key: observe(x, key=key))(xs, jr.split(observe_key, batch_size))
        state, metrics = advance(state, split(batch, mesh), split(ys, mesh), mesh=mesh, **settings)
        block = {name: block[name].at[i].set(value) for name, value in metrics.items()}
        return eqx.filter(replicate(state, mesh), eqx.is_array), block

    empty = {name: jnp.zeros(BLOCK) for name in METRICS} | {
        name: jnp.zeros(BLOCK, count.dtype) for name, count in skipped(state.opt_state).items()
    }
    dynamic, block = lax.fori_loop(0, count, body, (dynamic, empty))
    return eqx.combine(dynamic, static), replicate(block, mesh)


def replicate(tree: Any, mesh: Mesh | None) -> Any:
    """`tree` with its arrays whole on every device of the mesh."""
    return tree if mesh is None else eqx.filter_shard(tree, NamedSharding(mesh, PartitionSpec()))


def split(batch: Any, mesh: Mesh | None) -> Any:
    """`batch` with its leading axis divided among the devices of the mesh."""
    return batch if mesh is None else eqx.filter_shard(batch, NamedSharding(mesh, PartitionSpec("data")))


def as_rows(block: dict[str, Any], count: int, last: int, epoch: int) -> list[dict[str, Any]]:
    """The rows of the history for the `count` steps up to step `last`."""
    columns = {name: np.asarray(values)[:count].tolist() for name, values in block.items()}
    return [
        dict(step=last - count + 1 + i, epoch=epoch, split="train")
        | {name: column[i] for name, column in columns.items()}
        for i in range(count)
    ]
