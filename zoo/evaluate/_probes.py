import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array

from .._checks import check_counts
from ._arrays import as_pair, check_probe_labels
from ._estimate import Estimate, estimate
from ._neighbours import nearest


_STEPS = 500
_TOLERANCE = 1e-5  # of the gradient of the mean loss, nats


def linear_probe(
    codes: Array | np.ndarray,
    labels: Array | np.ndarray | None,
    test_codes: Array | np.ndarray,
    test_labels: Array | np.ndarray | None,
    *,
    penalty: int | float = 1e-4,
) -> Estimate:
    r"""Measure how often a linear classifier of the codes is right: multinomial logistic regression.

    $$\min_{W, b} \ -\frac1n \sum_i \log \mathrm{softmax}(W z_i + b)_{y_i} + \frac{\lambda}{2} |W|^2$$

    on codes whose columns have mean 0 and variance 1, found by L-BFGS to a gradient below 1e-5.

    **Arguments:**

    - `codes`, `labels`: to fit it to; latents as `zoo.encode` gives them, or images.
    - `test_codes`, `test_labels`: to count on.
    - `penalty`: $\lambda$.

    **Returns:** the accuracy on the test codes with its standard error, that of the test codes being a sample.

    **Raises:** `ValueError` for labels that are missing, no integers or not one to a code, for codes that are empty,
    not finite or of different shapes, and for a negative penalty.
    """
    if not 0 <= penalty < math.inf:
        raise ValueError(f"`linear_probe(penalty={penalty})`: the penalty of the weights must be a finite number >= 0")
    points, classes, tests, truth, count = _check("linear_probe", codes, labels, test_codes, test_labels)
    if count == 1:
        raise ValueError("`linear_probe(labels)`: all labels are the same; at least two classes are needed")
    points, tests = _standardise(points, tests)
    predicted = np.asarray(_predict(_fit(points, classes, count, jnp.asarray(penalty, points.dtype)), tests))
    return estimate((predicted == truth).astype(np.float64))


def knn_probe(
    codes: Array | np.ndarray,
    labels: Array | np.ndarray | None,
    test_codes: Array | np.ndarray,
    test_labels: Array | np.ndarray | None,
    *,
    k: int = 5,
    progress: bool = False,
) -> Estimate:
    """Measure how often the majority of the k nearest codes has the right label; ties go to the class met first.

    **Arguments:** as in `linear_probe`; `k`: neighbours, by Euclidean distance between the codes as they are;
    `progress`: whether to show a bar.

    **Returns:** the accuracy on the test codes with its standard error, that of the test codes being a sample.

    **Raises:** as `linear_probe`, and `ValueError` for k below 1 or above the number of codes.
    """
    points, classes, tests, truth, count = _check("knn_probe", codes, labels, test_codes, test_labels)
    check_counts("knn_probe", k=k)
    if k > len(points):
        raise ValueError(f"`knn_probe(k={k})`: there are {len(points)} codes; pass k from 1 to {len(points)}")
    _, index = nearest(tests, points, k, progress="neighbours" if progress else None)
    predicted = np.asarray(_majority(jnp.asarray(index), classes, count))
    return estimate((predicted == truth).astype(np.float64))


def _check(call: str, codes: Any, labels: Any, test_codes: Any, test_labels: Any):
    points, tests = as_pair(call, "codes", codes, "test_codes", test_codes)
    labels = check_probe_labels(call, "labels", labels, len(points))
    truth = check_probe_labels(call, "test_labels", test_labels, len(tests))
    # The numbers of classes among the training labels; a class that is only in the test is never right.
    values, numbered = np.unique(labels, return_inverse=True)
    place = np.minimum(np.searchsorted(values, truth), len(values) - 1)
    truth = np.where(values[place] == truth, place, -1)
    return points, jnp.asarray(numbered.astype(np.int32)), tests, truth, len(values)


@jax.jit
def _standardise(points, tests):
    centre, scale = jnp.mean(points, axis=0)[None], jnp.std(points, axis=0)[None]
    scale = jnp.where(scale > 0, scale, 1)
    return (points - centre) / scale, (tests - centre) / scale


@jax.jit
def _predict(params, tests):
    weight, bias = params
    return jnp.argmax(tests @ weight + bias[None], axis=1)


@eqx.filter_jit
def _fit(points, classes, count, penalty):
    def loss(params):
        weight, bias = params
        logits = points @ weight + bias[None]
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, classes)
        return jnp.mean(cross_entropy) + 0.5 * penalty * jnp.sum(weight**2)

    return _minimise(loss, (jnp.zeros((points.shape[1], count), points.dtype), jnp.zeros(count, points.dtype)))


def _minimise(loss, params):
    """Find the minimum of a smooth convex function by L-BFGS."""
    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def unfinished(carry):
        _, state, step = carry
        size = optax.tree.norm(optax.tree.get(state, "grad"))
        return (step == 0) | ((step < _STEPS) & (size > _TOLERANCE))

    def descend(carry):
        params, state, step = carry
        value, gradient = value_and_grad(params, state=state)
        updates, state = solver.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(params, updates), state, step + 1

    start = (params, solver.init(params), jnp.zeros((), jnp.int32))
    return lax.while_loop(unfinished, descend, start)[0]


@eqx.filter_jit
def _majority(index, classes, count):
    votes = jax.nn.one_hot(classes[index], count, dtype=jnp.float32)
    # A tie goes to the class of the nearest of all: half a vote at the first place, less at every further one.
    shares = jnp.asarray(0.5 / (1 + np.arange(index.shape[1])), votes.dtype)
    first = jnp.max(votes * shares[None, :, None], axis=1)
    return jnp.argmax(jnp.sum(votes, axis=1) + first, axis=1)
