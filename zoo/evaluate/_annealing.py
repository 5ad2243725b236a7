"""Annealing walks a path from a distribution that is easily drawn from to the posterior, and back."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from .._custom_types import Scalar
from ..models import AbstractVAE, draw_keys
from ._hmc import Move, hmc


WARM_UP = 20
PILOTS = 16  # at most
ACCEPTANCE = 0.65


def from_prior(model: AbstractVAE, x: Float[Array, " ..."]) -> Any:
    """Anneal from the prior p(z), which asks nothing of the encoder.

    **Arguments:** `model`; `x`: one example.
    """
    return model.latent_prior


def from_posterior(model: AbstractVAE, x: Float[Array, " ..."]) -> Any:
    """Anneal from the posterior q(z | x): the way is shorter where the encoder is good.

    **Arguments:** `model`; `x`: one example.
    """
    return model.posterior(x)


def inverse_temperatures(steps: int) -> Float[np.ndarray, " steps_and_one"]:
    """Space inverse temperatures from 0 to 1, closely at both ends: Wu et al. 2017, appendix, with delta = 4."""
    sigmoid = 1 / (1 + np.exp(-4 * np.linspace(-1, 1, steps + 1)))
    return (sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])


class Path(eqx.Module):
    r"""The densities $f_\beta(z) = p_0(z)^{1-\beta} \, p(x, z)^\beta$ of one example, $p_0$ being `start`.

    z is taken as one vector u, in units of $p_0$'s standard deviations.
    """

    model: Any
    x: Float[Array, " ..."]
    start: Any
    scale: Float[Array, " units"]
    leapfrogs: int = eqx.field(static=True)

    def __init__(self, model: Any, x: Float[Array, " ..."], start: Any, *, leapfrogs: int, key: PRNGKeyArray):
        self.model, self.x, self.start, self.leapfrogs = model, x, start, leapfrogs
        draws = jax.vmap(lambda key: ravel_pytree(start.sample(key=key))[0])(draw_keys(key, 64))
        self.scale = jnp.maximum(jnp.std(draws, axis=0), 1e-6)

    def begin(self, keys: Key[Array, " chains"]) -> Float[Array, " chains units"]:
        return jax.vmap(lambda key: self.flat(self.start.sample(key=key)))(keys)

    def flat(self, z: PyTree[Float[Array, " ..."]]) -> Float[Array, " units"]:
        return ravel_pytree(z)[0] / self.scale

    def log_densities(self, u: Float[Array, " units"]) -> tuple[Scalar, Scalar]:
        r"""$\log p_0(z)$, and $\log p(x, z) - \log p_0(z)$."""
        shape = jax.eval_shape(lambda key: self.start.sample(key=key), jr.key(0))
        z = ravel_pytree(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape))[1](u * self.scale)
        log_start = self.start.log_prob(z)
        if log_start is None:
            raise ValueError(
                f"annealing cannot begin from a `{type(self.start).__name__}`, which has no density; pass "
                "`start=zoo.evaluate.from_prior`"
            )
        joint = self.model.likelihood.log_prob(self.model.decode(z), self.x) + self.model.latent_prior.log_prob(z)
        return log_start, joint - log_start

    def move(self, u: Float[Array, " chains units"], beta: Scalar, step_size: Scalar, key: PRNGKeyArray) -> Move:
        """Move every chain by one transition at one temperature; `extra` is the second of `log_densities`."""

        def log_density(u):
            log_start, ratio = self.log_densities(u)
            return log_start + beta * ratio, ratio

        keys = draw_keys(key, len(u))
        one = lambda u, key: hmc(log_density, u, step_size=step_size, leapfrogs=self.leapfrogs, key=key)
        return jax.vmap(one)(u, keys)

    def step_sizes(self, betas: Float[Array, " steps"], *, chains: int, key: PRNGKeyArray) -> Float[Array, " steps"]:
        """Find the step size for each temperature by extra chains, which raise it where more than 65% is accepted.

        What is measured afterwards has no part in its own step sizes: bounds stay bounds.
        """
        begin_key, walk_key = jr.split(key)
        u = self.begin(draw_keys(begin_key, min(chains, PILOTS)))
        longer = jnp.concatenate([jnp.zeros(WARM_UP, betas.dtype), betas])

        def body(state, row):
            u, log_step = state
            t, beta = row
            move = self.move(u, beta, jnp.exp(log_step), jr.fold_in(walk_key, t))
            return (move.z, log_step + 0.3 * (jnp.mean(move.acceptance) - ACCEPTANCE)), log_step

        first = jnp.full((), -0.25 * np.log(u.shape[1]), u.dtype)
        rows = jnp.arange(len(longer), dtype=jnp.uint32), longer
        _, log_steps = lax.scan(body, (u, first), rows)
        return jnp.exp(log_steps[WARM_UP:])

    def forward(self, walk: "Walk", *, chains: int, key: PRNGKeyArray) -> "Weights":
        r"""Walk chains from $p_0$ to the posterior, and weigh them.

        $$\log w = \sum_t (\beta_t - \beta_{t-1}) [\log p(x, z_{t-1}) - \log p_0(z_{t-1})]$$
        """
        begin_key, walk_key = jr.split(key)
        u = self.begin(draw_keys(begin_key, chains))
        _, ratio = jax.vmap(self.log_densities)(u)

        def body(state, row):
            t, beta, rise, step_size = row
            u, ratio, log_weight = state
            move = self.move(u, beta, step_size, jr.fold_in(walk_key, t))
            return (move.z, move.extra, log_weight + rise * ratio), jnp.mean(move.acceptance)

        (_, _, log_weight), acceptance = lax.scan(body, (u, ratio, jnp.zeros_like(ratio)), walk)
        return Weights(log_weight, jnp.mean(acceptance))

    def backward(self, z: PyTree, walk: "Walk", *, chains: int, key: PRNGKeyArray) -> "Weights":
        """Walk chains from z, a draw from the exact posterior, back to $p_0$, and weigh them by the same sum."""
        u = jnp.broadcast_to(self.flat(z), (chains, self.scale.size))

        def body(state, row):
            t, beta, rise, step_size = row
            u, log_weight = state
            move = self.move(u, beta, step_size, jr.fold_in(key, t))
            return (move.z, log_weight + rise * move.extra), jnp.mean(move.acceptance)

        (_, log_weight), acceptance = lax.scan(body, (u, jnp.zeros(chains, u.dtype)), walk, reverse=True)
        return Weights(log_weight, jnp.mean(acceptance))


class Walk(NamedTuple):
    """A row for each temperature on the way, the start left out."""

    number: Array
    beta: Array
    rise: Array
    step_size: Array


class Weights(NamedTuple):
    """The log-weight of each chain, nats, and the mean acceptance."""

    log_weight: Float[Array, " chains"]
    acceptance: Scalar


def plan_walk(path: Path, steps: int, *, chains: int, key: PRNGKeyArray) -> Walk:
    """Plan the temperatures of a walk, and find step sizes for them by chains that serve for nothing else."""
    betas = inverse_temperatures(steps)
    later, rises = jnp.asarray(betas[1:], path.x.dtype), jnp.asarray(np.diff(betas), path.x.dtype)
    return Walk(jnp.arange(steps, dtype=jnp.uint32), later, rises, path.step_sizes(later, chains=chains, key=key))
