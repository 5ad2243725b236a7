from collections.abc import Callable
from typing import Any, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree


AxisNames = tuple[str, ...]


class BatchNorm(eqx.Module):
    r"""Batch normalisation of one example by the statistics of the batch it is mapped in.

    $$y = \gamma \, \frac{x - E[x]}{\sqrt{Var[x] + \epsilon}} + \beta$$

    with moments over height, width and every axis named in `axis_names` (`jax.vmap(..., axis_name=...)`), for each
    of `channels`; `epsilon` is added to the variance.
    This is the layer in training; it holds no running averages. What a datum is worth then depends on its
    neighbours, so a model is scored only after `zoo.freeze` has replaced each `BatchNorm` by the
    `ChannelAffine` of the population.

    Ioffe & Szegedy, "Batch Normalization", 2015, algorithm 1; population statistics as in Wu & Johnson,
    "Rethinking 'Batch' in BatchNorm", 2021, section 3.
    """

    gain: Float[Array, " channels"]
    bias: Float[Array, " channels"]
    axis_names: AxisNames = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)

    def __init__(self, channels: int, *, axis_names: AxisNames, epsilon: float = 1e-5):
        self.gain = jnp.ones(channels)
        self.bias = jnp.zeros(channels)
        self.axis_names = axis_names
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " height width channels"]:
        try:
            mean, variance = _moments(x, lambda x: lax.pmean(jnp.mean(x, axis=(0, 1), keepdims=True), self.axis_names))
        except NameError as error:
            raise ValueError(
                f"`BatchNorm` needs the mapped axes {self.axis_names}, which only training binds; to score, "
                "sample or plot, call `model = zoo.freeze(model, images, key=key)` first"
            ) from error
        return self.affine(mean[0, 0], variance[0, 0])(x)

    def affine(self, mean: Float[Array, " channels"], variance: Float[Array, " channels"]) -> "ChannelAffine":
        """The fixed map that this layer becomes when its input has these moments."""
        scale = self.gain * lax.rsqrt(variance + self.epsilon)
        return ChannelAffine(scale, self.bias - mean * scale)

    def across(self, axis_name: str) -> "BatchNorm":
        """The same layer, which takes its moments over this mapped axis too."""
        wider = BatchNorm(len(self.gain), axis_names=(*self.axis_names, axis_name), epsilon=self.epsilon)
        return eqx.tree_at(lambda norm: (norm.gain, norm.bias), wider, (self.gain, self.bias))


def is_batch_norm(node: Any) -> TypeGuard[BatchNorm]:
    """Whether a node of a PyTree is a `BatchNorm`: the `is_leaf` of `jax.tree.map` that stops at them.

    **Arguments:** `node`: any part of a model.
    """
    return isinstance(node, BatchNorm)


def batch_norms(model: PyTree) -> list[BatchNorm]:
    """Every `BatchNorm` in a model, in the order of its leaves; a frozen model has none.

    **Arguments:** `model`: any model, network or layer.
    """
    return [node for node in jax.tree.leaves(model, is_leaf=is_batch_norm) if is_batch_norm(node)]


class ChannelAffine(eqx.Module):
    """A scale and a shift for each channel: what a frozen `BatchNorm` is.

    **Fields:** `scale`, `shift`: `(channels,)`.
    """

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " height width channels"]:
        return x * self.scale[None, None] + self.shift[None, None]


class GroupNorm(eqx.Module):
    r"""Normalisation of one example by its own moments over height, width and each group of channels.

    **Arguments:** `channels`; `groups` that they are divided into; `epsilon` is added to the variance.

    **Raises:** `ValueError` where the groups do not divide the channels.

    Wu & He, "Group Normalization", 2018, equations 1 to 5.
    """

    gain: Float[Array, " channels"]
    bias: Float[Array, " channels"]
    groups: int = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)

    def __init__(self, channels: int, *, groups: int = 8, epsilon: float = 1e-5):
        if channels % groups:
            raise ValueError(f"`GroupNorm(channels={channels}, groups={groups})`: groups must divide channels")
        self.gain = jnp.ones(channels)
        self.bias = jnp.zeros(channels)
        self.groups = groups
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, " height width channels"]) -> Float[Array, " height width channels"]:
        height, width, channels = x.shape
        grouped = x.reshape(height, width, self.groups, channels // self.groups)
        mean, variance = _moments(grouped, lambda x: jnp.mean(x, axis=(0, 1, 3), keepdims=True))
        standardised = ((grouped - mean) * lax.rsqrt(variance + self.epsilon)).reshape(x.shape)
        return standardised * self.gain[None, None] + self.bias[None, None]


def _moments(x: Array, average: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Mean and variance; `average` keeps the axes.

    Var[x] = E[(x - c)^2] - (E[x] - c)^2 for every constant c: at c = E[x] it is as exact as the definition, and its
    derivative needs one sum less.
    """
    mean = average(x)
    centre = lax.stop_gradient(mean)
    return mean, average((x - centre) ** 2) - (mean - centre) ** 2


def normalisation(norm: str, channels: int, axis_names: AxisNames) -> tuple[Callable, ...]:
    """The layers that `norm` stands for after a convolution: one, or none."""
    if norm == "batch":
        return (BatchNorm(channels, axis_names=axis_names),)
    if norm == "group":
        return (GroupNorm(channels),)
    if norm == "none":
        return ()
    raise ValueError(f'`norm={norm!r}` is not one of "batch", "group", "none"')
