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
from ._judgement import Judgement
from ._loss import judge_batch, split_batch_key


MetricsAndGradient = tuple[dict[str, Scalar], PyTree]


def differentiate_loss(
    model: AbstractVAE, xs, ys, judgement: Judgement, *, microbatches: int = 1, mesh: Mesh | None = None,
    key: PRNGKeyArray,
) -> MetricsAndGradient:  # fmt: skip
    """Computes what is measured of a batch, means over its examples, and the gradient of its loss.

    In microbatches it is the mean of the gradients of that many parts of equal size, one after the other, with the
    draws that the examples have without.
    """
    keys, penalty_key = split_batch_key(key, len(xs))
    if mesh is None or judgement.penalties:
        return _differentiate_parts(model, (xs, ys, keys), judgement, microbatches, penalty_key=penalty_key)
    # Each device takes its own examples. Left to divide the program itself, XLA gathers the whole batch on every device
    # for the kernels' gradients, whose loop over the examples it cannot see through.
    arrays, static = eqx.partition((model, judgement), eqx.is_array)

    def differentiate_share(arrays, penalty_key, share):
        model, judgement = eqx.combine(arrays, static)
        own = _differentiate_parts(model, share, judgement, microbatches, devices="data", penalty_key=penalty_key)
        return _average_over_devices(own)

    everywhere, divided = PartitionSpec(), PartitionSpec("data")
    # Unchecked, the transpose of a sum over devices is a sum over devices: the gradient of all devices' losses.
    run = jax.shard_map(
        differentiate_share, mesh=mesh, in_specs=(everywhere, everywhere, divided), out_specs=everywhere,
        check_vma=False,
    )  # fmt: skip
    return run(arrays, penalty_key, (xs, ys, keys))


def _average_over_devices(tree: PyTree) -> PyTree:
    """Replaces every array by its mean over the devices.

    All arrays of one dtype are exchanged as one: devices wait for each other at each exchange, however small.
    """
    leaves, structure = jax.tree.flatten(tree)
    for dtype in {leaf.dtype: None for leaf in leaves}:
        places = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        flat, unravel = ravel_pytree([leaves[i] for i in places])
        for i, leaf in zip(places, unravel(lax.pmean(flat, "data")), strict=True):
            leaves[i] = leaf
    return jax.tree.unflatten(structure, leaves)


def _differentiate_parts(
    model: AbstractVAE, batch, judgement: Judgement, microbatches: int, *, devices: str | None = None, penalty_key
) -> MetricsAndGradient:
    # Without a name for the batch a layer that looks at it fails, where it would see a part only.
    axis_name = "batch" if microbatches == 1 else None

    def loss(model, xs, ys, keys):
        # In here, so that the gradient has the structure of the model as it is.
        model = model if devices is None else _widen_batch_norms(model, devices)
        return judge_batch(judgement, model, xs, ys, keys, axis_name=axis_name, penalty_key=penalty_key)

    def differentiate_part(*part):
        (value, draws), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(model, *part)
        return _measure(value, draws), gradient

    if microbatches == 1:
        return differentiate_part(*batch)
    parts = jax.tree.map(lambda a: a.reshape(microbatches, -1, *a.shape[1:]), batch)
    shapes = eqx.filter_eval_shape(differentiate_part, *jax.tree.map(lambda a: a[0], parts))
    zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)
    # Summed as they come, so that never more than one part's gradient is held beside the sum.
    add = lambda total, part: (jax.tree.map(jnp.add, total, differentiate_part(*part)), None)
    total, _ = lax.scan(add, zeros, parts)
    return jax.tree.map(lambda leaf: leaf / microbatches, total)


def _widen_batch_norms(model: AbstractVAE, devices: str) -> AbstractVAE:
    """Makes the `BatchNorm`s of the model take their moments over the examples of all devices."""
    widen = lambda node: node.across(devices) if is_batch_norm(node) else node
    return jax.tree.map(widen, model, is_leaf=is_batch_norm)


def _measure(value: Scalar, draws: Draws) -> dict[str, Scalar]:
    # A deterministic autoencoder's q has no density, and so no ELBO.
    bounded, nothing = draws.log_posterior is not None, jnp.full_like(value, jnp.nan)
    return {
        "loss": value,
        "elbo": jnp.mean(draws.log_weight) if bounded else nothing,
        "log_likelihood": jnp.mean(draws.log_likelihood),
        "rate": jnp.mean(draws.rate) if bounded else nothing,
    }
