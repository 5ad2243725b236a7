import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax import lax
from jax.nn import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._draws import over_draws
from ..models import AbstractVAE, draw_keys
from ._alive import draws_alive
from ._checks import check_continuous, check_evaluation, check_finite, check_weights
from ._estimate import Estimate, estimate_each
from ._examples import map_examples
from ._parts import part_size


class InferenceGaps(NamedTuple):
    r"""The record of how far the ELBO is from log p(x), and why; one value for each example, in nats.

    **Fields:**

    - `log_likelihood`: log p(x), by importance sampling from $q^*$.
    - `best_elbo`: $L[q^*]$, of the best posterior of the family for this example alone.
    - `elbo`: $L[q]$, of the encoder's.
    """

    log_likelihood: Float[Array, " n"]
    best_elbo: Float[Array, " n"]
    elbo: Float[Array, " n"]

    @property
    def approximation(self) -> Float[Array, " n"]:
        r"""$\log p(x) - L[q^*] = KL(q^* \,\|\, p(z \mid x))$: what the family cannot express."""
        return self.log_likelihood - self.best_elbo

    @property
    def amortisation(self) -> Float[Array, " n"]:
        r"""$L[q^*] - L[q]$: what the encoder misses of its family's best."""
        return self.best_elbo - self.elbo

    @property
    def inference(self) -> Float[Array, " n"]:
        r"""$\log p(x) - L[q] = KL(q \,\|\, p(z \mid x))$, the sum of the two."""
        return self.log_likelihood - self.elbo

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The mean over the examples of everything, with its standard error."""
        return estimate_each(self, (*self._fields, "approximation", "amortisation", "inference"))


def gaps(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    k: int = 1000,
    steps: int = 500,
    draws: int = 8,
    optimiser: optax.GradientTransformation | None = None,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> InferenceGaps:
    r"""Take the inference gap of each example apart: what the family of posteriors costs, and what the encoder does.

    $$\log p(x) - L[q] = \underbrace{\log p(x) - L[q^*]}_{\text{approximation}}
      + \underbrace{L[q^*] - L[q]}_{\text{amortisation}}, \qquad q^* = \arg\max_{q} L[q]$$

    $q^*$ begins as the encoder's posterior, and its parameters are then optimised for the one example, by gradients
    of the ELBO that hold log q's own parameters fixed (they vanish where $q^*$ is exact). The two ELBOs share their
    noise, so the amortisation gap is sharper than either of them. log p(x) is `k` draws' importance estimate; where
    $q^*$ is far from the posterior it comes out too low, and the approximation gap with it: put the estimates of
    `annealed_importance_sampling` in its place (`gaps._replace(log_likelihood=...)`).

    **Arguments:**

    - `k`: draws for each example in the values returned.
    - `steps`, `draws`: of the optimisation, and draws in each of its gradients.
    - `optimiser`: `optax.adam` with a rate that falls from 0.03 to 0 along a cosine unless given.
    - the others as in `log_likelihood`.

    **Returns:** `InferenceGaps`; its `.estimates` are the means over the examples.

    **Raises:** as `log_likelihood`; `ValueError` for latents without gradients, such as codes, and posteriors
    without a density.

    Cremer, Li and Duvenaud, "Inference Suboptimality in Variational Autoencoders", 2018, equations 4 to 6.
    """
    check_counts("gaps", steps=steps, draws=draws)
    check_evaluation("gaps", model, xs, ys, k=k, observe=observe)
    check_weights("gaps", model)
    check_continuous("gaps", model)
    optimiser = _adam(steps) if optimiser is None else optimiser
    alive = draws_alive(model, ys)
    at_once = max(alive // draws, 1)
    found = map_examples(
        eqx.Partial(_measure_gaps, k=k, chunk=part_size(k, draws), steps=steps, draws=draws, optimiser=optimiser),
        model,
        xs,
        ys,
        observe=observe,
        at_once=at_once,
        per_call=at_once,
        progress="gaps" if progress else None,
        key=key,
    )
    for values in found:
        check_finite("gaps", values)
    return found


@functools.cache  # the same object each time, so that nothing compiles twice
def _adam(steps: int) -> optax.GradientTransformation:
    return optax.adam(optax.cosine_decay_schedule(0.03, steps))


def _measure_gaps(model, x, *, k, chunk, steps, draws, optimiser, key):
    fit_key, score_key = jr.split(key)
    amortised = model.posterior(x)
    log_weights = lambda posterior, keys: model.propose(x, posterior, keys).score().log_weight
    log_weights(amortised, draw_keys(score_key, 1))  # refuses a posterior without a density
    best = _optimise_posterior(model, x, amortised, steps=steps, draws=draws, optimiser=optimiser, key=fit_key)

    def body(i, running):
        total, log_sum = running
        keys = draw_keys(score_key, chunk, start=(i * chunk).astype(jnp.uint32))
        wanted = i * chunk + jnp.arange(chunk, dtype=jnp.int32) < k
        pair = jnp.stack([log_weights(best, keys), log_weights(amortised, keys)])
        total = total + jnp.sum(jnp.where(wanted[None], pair, 0.0), axis=1)
        weights = jnp.where(wanted, pair[0], -jnp.inf)
        return total, jnp.logaddexp(log_sum, logsumexp(weights))

    start = jnp.zeros(2, x.dtype), jnp.full((), -jnp.inf, x.dtype)
    total, log_sum = lax.fori_loop(0, -(-k // chunk), body, start)
    return InferenceGaps(log_sum - math.log(k), total[0] / k, total[1] / k)


def _optimise_posterior(model, x, posterior, *, steps, draws, optimiser, key):
    """Find the posterior of the same family that makes this example's ELBO largest."""
    parameters, rest = eqx.partition(posterior, eqx.is_inexact_array)

    def loss(parameters, keys):
        moving = eqx.combine(parameters, rest)
        fixed = eqx.combine(lax.stop_gradient(parameters), rest)
        proposal = model.propose(x, moving, keys)
        joint = over_draws(lambda z: proposal.log_likelihood(z) + proposal.log_prior(z))(proposal.z)
        return -jnp.mean(joint - proposal.log_posterior_at(proposal.z, fixed))

    def step(state, i):
        parameters, opt_state = state
        slope = jax.grad(loss)(parameters, draw_keys(jr.fold_in(key, i), draws))
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
            updates, opt_state = optimiser.update(slope, opt_state, parameters)
        return (optax.apply_updates(parameters, updates), opt_state), None

    (parameters, _), _ = lax.scan(step, (parameters, optimiser.init(parameters)), jnp.arange(steps, dtype=jnp.uint32))
    return eqx.combine(parameters, rest)
