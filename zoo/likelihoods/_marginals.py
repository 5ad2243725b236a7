"""Where parameters start: independent dimensions, each with the parameters that fit its own values best."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float


# Numbers that are looked at in each step of the climb: their sum over its steps takes about a second on two cores.
_AT_ONCE = 200_000
_STEPS = 200


def stack(*groups: Array | np.ndarray) -> Float[Array, " ..."]:
    """Parameters of one group after the other, along the first axis, as a decoder puts them out."""
    return jnp.concatenate([jnp.asarray(group, jnp.result_type(float)) for group in groups])


def thin(xs: Array | np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly spaced.

    **Arguments:** `xs`: examples along the first axis, any source of rows by index; `most`: how many to keep.
    """
    n = len(xs)
    return np.asarray(xs[np.arange(n)]) if n <= most else np.asarray(xs[np.linspace(0, n - 1, most).astype(int)])


def as_float64(xs: Array | np.ndarray) -> np.ndarray:
    """The examples in the precision in which their means and variances are summed."""
    return np.asarray(xs, np.float64)


def unbend(value: np.ndarray | float, low: float) -> np.ndarray:
    """The inverse of `special.above` in its first argument; what is not above `low` is taken as a little above."""
    excess = np.maximum(value - low, 0.05)
    return low + excess + np.log(-np.expm1(-excess))


def log_spread(xs: np.ndarray) -> np.ndarray:
    """The logarithm of each dimension's standard deviation, minus infinity where it never varies."""
    with np.errstate(divide="ignore"):
        return np.log(xs.std(axis=0))


def climb(
    log_prob: Callable, guess: Float[Array, " ..."], xs: Array | np.ndarray, *, channels: int = 1
) -> Float[Array, " ..."]:
    """The parameters of independent dimensions under which the examples are likeliest, found by Adam from a guess.

    **Arguments:** `log_prob`: of one example under the parameters; `guess`: the parameters to start from; `xs`: the
    examples, of which a part is enough where they are many; `channels`: parameters of a dimension.
    """
    rows = thin(xs, int(np.clip(_AT_ONCE // (channels * math.prod(xs.shape[1:])), 64, 512)))
    return _climb(log_prob, guess, jnp.asarray(rows, guess.dtype))


@eqx.filter_jit
def _climb(log_prob: Callable, guess: Float[Array, " ..."], xs: Float[Array, " n ..."]) -> Float[Array, " ..."]:
    loss = lambda params: -jnp.mean(jax.vmap(lambda x: log_prob(params, x))(xs))
    optimiser = optax.adam(optax.cosine_decay_schedule(0.1, _STEPS))

    def advance(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(gradient, state)
        return (optax.apply_updates(params, updates), state), value

    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        (params, _), values = jax.lax.scan(advance, (guess, optimiser.init(guess)), length=_STEPS)
    # A guess beyond what the steps can better stays.
    return jnp.where(loss(params) <= values[0], params, guess)  # pyright: ignore[reportArgumentType]
