from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._custom_types import Scalar


class Move(NamedTuple):
    """The end of a transition, what else the density said there, and the probability that the move was taken."""

    z: Float[Array, " units"]
    extra: PyTree[Array]
    acceptance: Scalar


def hmc(
    log_density: Callable[[Float[Array, " units"]], tuple[Scalar, PyTree[Array]]],
    z: Float[Array, " units"],
    *,
    step_size: Scalar,
    leapfrogs: int,
    key: PRNGKeyArray,
) -> Move:
    r"""One transition of Hamiltonian Monte Carlo, which leaves a density as it is and is reversible.

    With momenta $p \sim N(0, I)$ the leapfrog steps are

    $$p \leftarrow p + \tfrac\epsilon2 \nabla \log f(z), \qquad z \leftarrow z + \epsilon p, \qquad
      p \leftarrow p + \tfrac\epsilon2 \nabla \log f(z)$$

    and where they end is taken with probability $\min(1, e^{-\Delta H})$, $H = \tfrac12 \|p\|^2 - \log f(z)$. The
    step size of each transition is drawn within a fifth of `step_size`, so that no trajectory comes round to
    where it began for every start.

    **Arguments:** `log_density`: z to its log-density, up to a constant, and anything more to be kept of it.

    Neal, "MCMC using Hamiltonian dynamics", 2011, section 3.2.
    """
    momentum_key, step_key, accept_key = jr.split(key, 3)
    slope_of = jax.value_and_grad(log_density, has_aux=True)
    momentum = jr.normal(momentum_key, z.shape, z.dtype)
    step = step_size * jr.uniform(step_key, (), z.dtype, 0.8, 1.2)
    (value, extra), slope = slope_of(z)

    def leap(_, state):
        z, momentum, slope, _, _ = state
        momentum = momentum + 0.5 * step * slope
        z = z + step * momentum
        (value, extra), slope = slope_of(z)
        return z, momentum + 0.5 * step * slope, slope, value, extra

    end, end_momentum, _, end_value, end_extra = lax.fori_loop(0, leapfrogs, leap, (z, momentum, slope, value, extra))
    gain = end_value - value - 0.5 * (jnp.sum(end_momentum**2) - jnp.sum(momentum**2))
    # A trajectory that has left the numbers is not taken.
    acceptance = jnp.where(jnp.isnan(gain), 0.0, jnp.exp(jnp.minimum(gain, 0.0))).astype(z.dtype)
    taken = jr.uniform(accept_key, (), z.dtype) < acceptance
    z, extra = jax.tree.map(lambda new, old: jnp.where(taken, new, old), (end, end_extra), (z, extra))
    return Move(z, extra, acceptance)
