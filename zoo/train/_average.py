from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree

from ..models import AbstractVAE
from ._step import TrainState


class AverageState(NamedTuple):
    """The optimiser's own state, and the mean of the weights it has led to."""

    inner: Any
    mean: PyTree
    steps: Int[Array, ""]


def average(optimiser: optax.GradientTransformation, *, decay: float = 0.999) -> optax.GradientTransformation:
    r"""The same optimiser, which also keeps an exponential moving average of the weights.

    $$\bar w_t = \bar w_{t-1} + \max(1 - \text{decay}, 1/t)\,(w_t - \bar w_{t-1})$$

    The plain mean of all weights at first, so that the start has no weight of its own. Training is as without it;
    `averaged(fit(..., optimiser=average(optax.adam(1e-3))).state)` is the averaged model. The average is part of
    the state, so it is in every checkpoint.

    **Arguments:** `optimiser`: from optax. `decay`: in [0, 1); the average reaches back about 1 / (1 - decay) steps.

    **Raises:** `ValueError` for another `decay`.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging", 1992, equation 7, for the mean.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"`average(decay={decay})`: pass a decay of at least 0 and below 1")
    inner = optax.with_extra_args_support(optimiser)

    def init(params):
        return AverageState(inner.init(params), params, jnp.zeros((), jnp.int32))

    def update(updates, state, params=None, **extra):
        updates, inner_state = inner.update(updates, state.inner, params, **extra)
        if params is None:
            raise ValueError("`average(...).update(updates, state, params)` needs params: it averages them")
        steps = state.steps + 1
        share = jnp.maximum(1 - decay, 1 / steps)
        weights = optax.apply_updates(params, updates)
        mean = jax.tree.map(lambda a, w: a + share.astype(a.dtype) * (w - a), state.mean, weights)
        return updates, AverageState(inner_state, mean, steps)

    return optax.GradientTransformationExtraArgs(init, update)


def averaged(state: TrainState) -> AbstractVAE:
    """The model with the averaged weights, from a state whose optimiser is an `average`.

    **Arguments:** `state`: of a `Fit`. With `BatchNorm` inside, the model still needs `zoo.freeze`.

    **Raises:** `ValueError` where the optimiser keeps no average.
    """
    is_average = lambda node: isinstance(node, AverageState)
    found = [node for node in jax.tree.leaves(state.opt_state, is_leaf=is_average) if is_average(node)]
    if not found:
        raise ValueError("`averaged(state)`: the optimiser keeps no average; train with `optimiser=average(...)`")
    return eqx.combine(found[0].mean, state.model)
