from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree

from ..models import AbstractVAE
from ._step import TrainState


ETA = 8


class AverageState(NamedTuple):
    """The optimiser's own state, and the mean of the weights it has led to."""

    inner: Any
    mean: PyTree
    steps: Int[Array, ""]


def average(optimiser: optax.GradientTransformation, *, decay: float = 0.999) -> optax.GradientTransformation:
    r"""The same optimiser, which also keeps a moving average of the weights.

    $$\bar w_t = \bar w_{t-1} + \max\left(1 - \text{decay}, \frac{1 + \eta}{t + \eta}\right)
    (w_t - \bar w_{t-1}), \qquad \eta = 8$$

    At first weights count in proportion to about $t^8$: the average lags a tenth of the steps behind, so that it
    forgets how training began, whatever its length; then it is the exponential average. Training is as without it;
    `averaged(fit(..., optimiser=average(optax.adam(1e-3))).state)` is the averaged model. The average is part of
    the state, so it is in every checkpoint.

    **Arguments:** `optimiser`: from optax. `decay`: in [0, 1); the average reaches back about 1 / (1 - decay) steps.

    **Raises:** `ValueError` for another `decay`.

    Shamir & Zhang, "Stochastic gradient descent for non-smooth optimization", 2013, section 4: polynomial-decay
    averaging.
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
        share = jnp.maximum(1 - decay, (1 + ETA) / (steps + ETA))
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
