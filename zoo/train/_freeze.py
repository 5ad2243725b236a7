from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..models import AbstractVAE, check_labels, given, observe_example
from ..nn import Stochastic, is_batch_norm
from ..posteriors import GumbelSoftmax
from ._step import Model


def freeze(
    model: Model,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    observe: Callable | None = None,
    examples: int = 2048,
    batch_size: int = 256,
    key: PRNGKeyArray,
) -> Model:
    r"""The model with every `nn.BatchNorm` replaced by the fixed `nn.ChannelAffine` of the population.

    Layer after layer in the order of execution, the input's mean and variance are measured on real examples
    with all earlier layers already fixed and at the final weights. A frozen model scores one example by
    itself, whatever the batch; it is what is evaluated, drawn and saved. Relaxed categorical latents
    (`posteriors.GumbelSoftmax`) become exact ones, and networks with dropout (`nn.Stochastic`) go into inference mode.
    A model without any of these is returned as it is.

    **Arguments:**

    - `xs`: examples, `(n, ...)`, usually the training data.
    - `ys`: their labels, for a `ConditionalVAE`.
    - `observe`: what the model sees of them, as in `fit`.
    - `examples`: at most this many, chosen at random, are measured.
    - `key`: for that choice, for `observe` and for the draws that feed the decoder.

    **Raises:** `ValueError` if a `BatchNorm` takes no part in scoring an example, for want of statistics.

    Wu & Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3.2 (population statistics, "PreciseBN").
    """
    if any(map(_is_provisional, jtu.tree_leaves(model, is_leaf=_is_provisional))):
        model = jtu.tree_map(
            lambda leaf: leaf.frozen() if _is_provisional(leaf) else leaf, model, is_leaf=_is_provisional
        )
    leaves, structure = jtu.tree_flatten(model, is_leaf=is_batch_norm)
    positions = [i for i, leaf in enumerate(leaves) if is_batch_norm(leaf)]
    if not positions:
        return model
    if len(xs) == 0:
        raise ValueError("`freeze(xs=...)` needs at least 1 example, got 0")
    chosen = np.asarray(jr.permutation(jr.fold_in(key, 0), len(xs)))[:examples]
    check_labels("freeze(ys)", model, ys, len(xs))
    rows = [chosen[i : i + batch_size] for i in range(0, len(chosen), batch_size)]
    batches = [(np.asarray(xs[row]), None if ys is None else np.asarray(ys[row])) for row in rows]
    for position in _find_order(leaves, structure, positions, batches[0], observe, key):
        mean, variance = _measure_layer(leaves, structure, position, batches, observe, jr.fold_in(key, 1))
        leaves[position] = leaves[position].affine(mean, variance)
    return jtu.tree_unflatten(structure, leaves)


def _is_provisional(leaf: Any) -> bool:
    """Whether a part of a model is for training only and has another form for afterwards."""
    return isinstance(leaf, GumbelSoftmax | Stochastic)


def _score(model: AbstractVAE, x: Array, y: Array | None, observe: Any, key: PRNGKeyArray) -> Float[Array, ""]:
    # What the number is does not matter, but that every network has a part in it.
    observe_key, draw_key = jr.split(key)
    draws = given(model, y).draw(observe_example(model, observe, x, key=observe_key), k=1, key=draw_key)
    terms = (draws.log_likelihood, draws.log_prior, draws.log_posterior)
    return jnp.sum(sum(term for term in terms if term is not None))


def _find_order(leaves, structure, positions, batch, observe, key) -> list[int]:
    """Finds in which order scoring an example calls the layers at these positions.

    **Raises:** `ValueError` that names those which it never calls.
    """
    calls: dict[int, None] = {}

    class Named(eqx.Module):
        position: int

        def __call__(self, x: Array) -> Array:
            calls[self.position] = None
            return x

    named = [Named(i) if i in positions else leaf for i, leaf in enumerate(leaves)]
    first = jax.tree.map(lambda array: array[0], batch)
    jax.eval_shape(lambda x, y: _score(jtu.tree_unflatten(structure, named), x, y, observe, key), *first)
    unused = sorted(set(positions) - set(calls))
    if unused:
        paths, _ = jtu.tree_flatten_with_path(jtu.tree_unflatten(structure, leaves), is_leaf=is_batch_norm)
        names = ", ".join(jtu.keystr(paths[i][0]) for i in unused)
        raise ValueError(f"`freeze` cannot measure {names}: scoring an example never calls it; remove it")
    return list(calls)


class _Probe(eqx.Module):
    """Stands in for a layer, and measures its input: the 'gradient' of `moments` is the moments of the input.

    The gradient of an argument that is not mapped is summed over every mapped axis. So no axis needs a name, and the
    probe works at any depth of `vmap`.
    """

    moments: tuple[Array, Array, Array]
    centre: Float[Array, " channels"]

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " height width channels"]:
        return _pass_on(x, self.moments, self.centre)


@jax.custom_vjp
def _pass_on(x, moments, centre):
    return x


def _pass_on_forward(x, moments, centre):
    return x, (x, centre)


def _pass_on_backward(residuals, cotangent):
    x, centre = residuals
    deviation = x - centre[None, None]
    # Counted on x and not from its shape: only a mapped cotangent is summed over the mapped axes.
    count = jnp.sum((x == x).astype(x.dtype), axis=(0, 1))
    moments = (count, jnp.sum(deviation, axis=(0, 1)), jnp.sum(deviation**2, axis=(0, 1)))
    return jnp.zeros_like(x), moments, jnp.zeros_like(centre)


_pass_on.defvjp(_pass_on_forward, _pass_on_backward)


@eqx.filter_jit
def _measure_batch(rest, structure, position, centre, batch, observe, key):
    """Measures the input of one layer on a batch: count, sum and sum of squares of its deviations from `centre`."""

    def total(moments):
        leaves = [*rest[:position], _Probe(moments, centre), *rest[position:]]
        # Layers behind the probe may do anything to its output: only its input is measured.
        leaves = [_Pass() if is_batch_norm(leaf) else leaf for leaf in leaves]
        model = jtu.tree_unflatten(structure, leaves)
        xs, ys = batch
        keys = jr.split(key, len(xs))
        return jnp.sum(jax.vmap(lambda x, y, key: _score(model, x, y, observe, key))(xs, ys, keys))

    return jax.grad(total)((jnp.zeros_like(centre),) * 3)


class _Pass(eqx.Module):
    def __call__(self, x: Array) -> Array:
        return x


def _measure_layer(leaves, structure, position, batches, observe, key):
    """Measures the mean and the variance of a layer's input, from the sums over all batches, in float64."""
    rest = leaves[:position] + leaves[position + 1 :]
    centre = jnp.zeros_like(leaves[position].gain)
    measure = lambda i, centre: np.asarray(
        _measure_batch(rest, structure, position, centre, batches[i], observe, jr.fold_in(key, i)), np.float64
    )
    # Deviations from the first batch's mean: squares of large values would cancel.
    count, total, _ = measure(0, centre)
    centre = jnp.asarray(total / count, centre.dtype)
    count, total, squares = np.sum([measure(i, centre) for i in range(len(batches))], axis=0)
    offset = total / count
    as_leaf = lambda value: jnp.asarray(value, centre.dtype)
    return as_leaf(centre + offset), as_leaf(squares / count - offset**2)
