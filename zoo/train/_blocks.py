import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from ..models import observe_example
from ._recipe import Recipe
from ._step import METRICS, TrainState, advance, count_skipped, split_step_key


# A block is a number of steps in one compiled call; this many at most.
LONGEST_BLOCK = 256


class Block(NamedTuple):
    """What one compiled call leaves, and where in the run it was."""

    state: Any
    columns: dict[str, np.ndarray]  # of the history, one number to a step; as long as the longest block
    order: Any  # in which its epoch visits the examples
    first: int  # its first step, counted from the epoch's start
    taken: int  # steps in it
    done: int  # steps of the run, this block included
    epoch: int
    seconds: float


def run_blocks(
    run: Callable,
    draw_order: Callable,
    state: Any,
    *,
    done: int,
    total: int,
    steps: int,
    limit: Callable[[int, int], int],
) -> Iterator[Block]:
    """Trains in blocks of about half a second, after each of which the caller may look at what it has left.

    **Arguments:**

    - `run`: `(state, order, first, count) -> (state, columns)`, as `run_block`.
    - `draw_order`: the number of an epoch to the order of its examples.
    - `done`, `total`, `steps`: steps that the run has taken, will have taken, and takes in an epoch.
    - `limit`: `(done, at_most)` to how many steps the next block has; 0 ends the run.
    """
    size, drawn, order = 1, -1, None
    while done < total:
        epoch, first = divmod(done, steps)
        if epoch != drawn:
            drawn, order = epoch, draw_order(epoch)
        # Where a block ends changes nothing else.
        count = limit(done, min(size, steps - first))
        if count == 0:
            return
        started = time.perf_counter()
        state, columns = run(state, order, jnp.int32(first), jnp.int32(count))
        columns = {name: np.asarray(column) for name, column in columns.items()}  # waits for the block to end
        seconds = time.perf_counter() - started
        size = next_block_size(size, seconds / count)
        done += count
        yield Block(state, columns, order, first, count, done, epoch, seconds)


def next_block_size(size: int, seconds: float) -> int:
    """How many steps the next block takes, when each of the last `size` took so long: half a second of them.

    Slow steps are eight to a block as long as that is two seconds: the temporaries of a program, for which XLA asks the
    system at each call, then serve them all.
    """
    return int(np.clip(max(0.5 / seconds, min(8.0, 2.0 / seconds)), 1, min(LONGEST_BLOCK, 4 * size)))


@eqx.filter_jit
def draw_order(key: PRNGKeyArray, epoch: UInt32[Array, ""], n: int) -> Int[Array, " n"]:
    """Draws the order of the examples in an epoch, whose number is an array so that all epochs share one program."""
    # Steps count from 0 upwards; epochs take the other end, so that no key serves twice.
    return jr.permutation(jr.fold_in(key, ~epoch), n)


@eqx.filter_jit
def run_block(state: TrainState, data_set, order, first, count, recipe: Recipe) -> tuple[TrainState, dict[str, Array]]:
    """Takes `count` steps from step `first` of the epoch. `count` is traced: every block is the same program."""
    return take_steps(state, data_set, order, first, count, recipe)


def take_steps(state: TrainState, data_set, order, first, count, recipe: Recipe) -> tuple[TrainState, dict[str, Array]]:
    """Takes `count` steps inside a larger program; `run_block` is this in a program of its own."""
    mesh, batch_size = recipe.mesh, recipe.batch_size
    state = copy_to_devices(state, mesh)
    dynamic, static = eqx.partition(state, eqx.is_array)

    def take_step(i, carry):
        dynamic, columns = carry
        state = eqx.combine(dynamic, static)
        rows = divide_batch(lax.dynamic_slice_in_dim(order, (first + i) * batch_size, batch_size), mesh)
        observe_key, _ = split_step_key(state)
        xs, ys = jax.tree.map(lambda array: array[rows], data_set)
        see = lambda x, key: observe_example(state.model, recipe.observe, x, key=key)
        batch = jax.vmap(see)(xs, jr.split(observe_key, batch_size))
        state, metrics = advance(
            state, divide_batch(batch, mesh), divide_batch(ys, mesh), recipe.judgement, recipe.optimiser,
            microbatches=recipe.microbatches, mesh=mesh,
        )  # fmt: skip
        columns = {name: columns[name].at[i].set(value) for name, value in metrics.items()}
        return eqx.filter(copy_to_devices(state, mesh), eqx.is_array), columns

    empty = {name: jnp.zeros(LONGEST_BLOCK) for name in METRICS} | {
        name: jnp.zeros(LONGEST_BLOCK, count.dtype) for name, count in count_skipped(state.opt_state).items()
    }
    dynamic, columns = lax.fori_loop(0, count, take_step, (dynamic, empty))
    return eqx.combine(dynamic, static), copy_to_devices(columns, mesh)


def copy_to_devices(tree: Any, mesh: Mesh | None) -> Any:
    """Puts the arrays of `tree` whole on every device of the mesh."""
    return tree if mesh is None else eqx.filter_shard(tree, NamedSharding(mesh, PartitionSpec()))


def divide_batch(batch: Any, mesh: Mesh | None) -> Any:
    """Divides the leading axis of the arrays among the devices of the mesh."""
    return batch if mesh is None else eqx.filter_shard(batch, NamedSharding(mesh, PartitionSpec("data")))


def make_rows(columns: dict[str, Any], count: int, last: int, epoch: int) -> list[dict[str, Any]]:
    """Makes the rows of the history for the `count` steps up to step `last`."""
    lists = {name: np.asarray(values)[:count].tolist() for name, values in columns.items()}
    return [
        dict(step=last - count + 1 + i, epoch=epoch, split="train")
        | {name: values[i] for name, values in lists.items()}
        for i in range(count)
    ]
