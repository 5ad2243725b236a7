import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from .._draws import Draws
from ..models import AbstractVAE, draw_keys
from ._alive import draws_alive
from ._checks import check_evaluation, check_finite, check_weights
from ._examples import map_draws, map_examples
from ._parts import part_size


def log_likelihood(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    k: int = 5000,
    observe: Callable | None = None,
    chunk_size: int | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, " n"]:
    r"""The k-sample importance estimate of each example's log-likelihood, in nats.

    $$\log \frac1k \sum_{i=1}^k \frac{p(x \mid z_i)\, p(z_i)}{q(z_i \mid x)}, \qquad z_i \sim q(z \mid x)$$

    Its expectation is below $\log p(x)$ and rises to it with k. The sum streams over chunks of draws, so
    memory does not depend on k, nor on the number of examples.

    **Arguments:**

    - `model`: a trained model, frozen if it has `BatchNorm`.
    - `xs`: `(n, ...)`: uint8 pixels, or floats (images in [0, 1]).
    - `ys`: labels `(n, ...)` for a `ConditionalVAE`, whose log p(x | y) it then is.
    - `k`: draws for each example.
    - `observe`: as in `zoo.fit`; its noise comes from `key`, one draw for each example.
    - `chunk_size`: at most so many draws are alive at a time; chosen by the largest array that the model makes of one
      unless given.
    - `progress`: whether to show a bar.
    - `key`: draw i of example j depends on the key, i and j alone, so chunks change nothing but rounding.

    **Returns:** one estimate for each example, `(n,)`; `zoo.evaluate.estimate` gives their mean and its
    standard error.

    **Raises:** `ValueError` for k below 1, for data or labels that the model does not take and for weights that
    are NaN; `FloatingPointError` that names the examples whose estimate is not finite.

    Burda et al., "Importance Weighted Autoencoders", 2016, equation 8.
    """
    check_evaluation("log_likelihood", model, xs, ys, k=k, observe=observe)
    check_weights("log_likelihood", model)
    if chunk_size is not None:
        check_counts("log_likelihood", chunk_size=chunk_size)
    alive = draws_alive(model, ys) if chunk_size is None else chunk_size
    chunk = part_size(k, alive)
    values = map_examples(
        eqx.Partial(_stream_draws, k=k, chunk=chunk),
        model,
        xs,
        ys,
        observe=observe,
        at_once=max(alive // chunk, 1),
        per_call=max(100 * alive // k, 1),
        progress="log-likelihood" if progress else None,
        key=key,
    )
    return check_finite("log_likelihood", values)


def _stream_draws(model: AbstractVAE, x: Float[Array, " ..."], *, k: int, chunk: int, key: PRNGKeyArray) -> Scalar:
    posterior = model.posterior(x)

    def body(i, running):
        start = i * chunk
        draws = model.propose(x, posterior, draw_keys(key, chunk, start=start.astype(jnp.uint32))).score()
        wanted = start + jnp.arange(chunk, dtype=jnp.int32) < k
        log_weight = jnp.where(wanted, draws.log_weight, -jnp.inf)
        return jnp.logaddexp(running, jax.nn.logsumexp(log_weight))

    x_dtype = jnp.result_type(x)
    total = lax.fori_loop(0, -(-k // chunk), body, jnp.array(-jnp.inf, x_dtype))
    return total - math.log(k)


def bound(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    objective: Callable[[Draws], Array],
    k: int = 1,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, " n ..."]:
    """The value of an objective for each example, in nats.

    **Arguments:** `objective`: one of `zoo.objectives`; the others as in `log_likelihood`.

    **Returns:** one value for each example, `(n,)`. It bounds the log-likelihood if the objective does. Of a function
    that gives several numbers for the draws of one example, `(n, ...)`.

    **Raises:** as `log_likelihood`.
    """
    check_evaluation("bound", model, xs, ys, k=k, observe=observe)
    check_weights("bound", model)
    judge = eqx.Partial(_judge_draws, objective=objective)
    bar = "bound" if progress else None
    return check_finite("bound", map_draws(judge, model, xs, ys, k=k, observe=observe, progress=bar, key=key))


def _judge_draws(model, x, *, objective, k, key):
    return objective(model.draw(x, k=k, key=key))
