from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import PRNGKeyArray, PyTree

from .._custom_types import Scalar
from .._draws import Draws
from ..models import AbstractVAE
from ..nn import is_batch_norm
from ._loss import batch_keys, loss_and_draws


Found = tuple[dict[str, Scalar], PyTree]


def metrics_and_gradient(
    model: AbstractVAE, xs, ys, *, microbatches: int = 1, mesh: Mesh | None = None, key: PRNGKeyArray, **settings: Any
) -> Found:
    """What a batch measures, means over its examples, and the gradient of its loss.

    In microbatches it is the mean of the gradients of that many parts of equal size, one after the other, with the
    draws that the examples have without. `settings` are those of `loss`.
    """
    keys, penalty_key = batch_keys(key, len(xs))
    settings = settings | {"penalty_key": penalty_key}
    if mesh is None or settings["penalties"]:
        return _in_parts(model, (xs, ys, keys), microbatches, settings)
    # Each device takes its own examples. Left to divide the program itself, XLA gathers the whole batch on every device
    # for the kernels' gradients, whose loop over the examples it cannot see through.
    arrays, static = eqx.partition((model, settings), eqx.is_array)

    def on_a_device(arrays, share):
        model, settings = eqx.combine(arrays, static)
        return _mean_of_devices(_in_parts(model, share, microbatches, settings, devices="data"))

    everywhere, divided = PartitionSpec(), PartitionSpec("data")
    # Unchecked, the transpose of a sum over devices is a sum over devices: the gradient of all devices' losses.
    run = jax.shard_map(on_a_device, mesh=mesh, in_specs=(everywhere, divided), out_specs=everywhere, check_vma=False)
    return run(arrays, (xs, ys, keys))


def _mean_of_devices(tree: PyTree) -> PyTree:
    """The mean of every array over the devices. All of one dtype are exchanged as one: devices wait for each other at
    each exchange, however small.
    """
    leaves, structure = jax.tree.flatten(tree)
    for dtype in {leaf.dtype: None for leaf in leaves}:
        places = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        flat, parts = ravel_pytree([leaves[i] for i in places])
        for i, leaf in zip(places, parts(lax.pmean(flat, "data")), strict=True):
            leaves[i] = leaf
    return jax.tree.unflatten(structure, leaves)


def _in_parts(model, batch, microbatches: int, settings: dict[str, Any], devices: str | None = None) -> Found:
    # Without a name for the batch a layer that looks at it fails, where it would see a part only.
    axis_name = "batch" if microbatches == 1 else None

    def loss(model, xs, ys, keys):
        model = model if devices is None else _across(model, devices)
        return loss_and_draws(model, xs, ys, keys, **settings, axis_name=axis_name)

    def part(*some):
        (value, draws), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(model, *some)
        return _metrics(value, draws), gradient

    if microbatches == 1:
        return part(*batch)
    parts = jax.tree.map(lambda a: a.reshape(microbatches, -1, *a.shape[1:]), batch)
    shapes = eqx.filter_eval_shape(part, *jax.tree.map(lambda a: a[0], parts))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    total, _ = lax.scan(lambda total, some: (jax.tree.map(jnp.add, total, part(*some)), None), zeros, parts)
    return jax.tree.map(lambda leaf: leaf / microbatches, total)


def _across(model: AbstractVAE, devices: str) -> AbstractVAE:
    """The model whose `BatchNorm`s take their moments over the examples of all devices."""
    widen = lambda node: node.across(devices) if is_batch_norm(node) else node
    return jax.tree.map(widen, model, is_leaf=is_batch_norm)


def _metrics(value: Scalar, draws: Draws) -> dict[str, Scalar]:
    bounded, nothing = draws.log_posterior is not None, jnp.full_like(value, jnp.nan)
    return {
        "loss": value,
        "elbo": jnp.mean(draws.log_weight) if bounded else nothing,
        "log_likelihood": jnp.mean(draws.log_likelihood),
        "rate": jnp.mean(draws.rate) if bounded else nothing,
    }
