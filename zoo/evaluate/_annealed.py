import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.nn import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ..models import AbstractVAE
from ._alive import draws_alive
from ._annealing import Path, from_prior, plan_walk
from ._checks import check_continuous, check_evaluation, check_finite, check_weights
from ._estimate import Estimate, estimate_each
from ._examples import map_examples


class Annealed(NamedTuple):
    """The result of annealed importance sampling, one value for each example.

    **Fields:**

    - `log_likelihood`: the estimate of log p(x), nats.
    - `standard_error`: of that estimate, from the spread of its chains; NaN for one chain.
    - `acceptance`: the mean acceptance probability of the transitions.
    """

    log_likelihood: Float[Array, " n"]
    standard_error: Float[Array, " n"]
    acceptance: Float[Array, " n"]

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The means over the examples, with their standard errors."""
        return estimate_each(self, ("log_likelihood", "acceptance"))


def annealed_importance_sampling(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    steps: int = 500,
    leapfrogs: int = 10,
    chains: int = 16,
    start: Callable = from_prior,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Annealed:
    r"""Estimate each example's log-likelihood by annealed importance sampling, in nats: a lower bound on average.

    $$\log \frac1c \sum_{i=1}^c w_i, \qquad
      \log w = \sum_{t=1}^T (\beta_t - \beta_{t-1}) [\log p(x, z_{t-1}) - \log p_0(z_{t-1})]$$

    Each chain begins with $z_0 \sim p_0$ and is moved by Hamiltonian Monte Carlo, which leaves
    $p_0(z)^{1-\beta_t} p(x, z)^{\beta_t}$ as it is. $E[w] = p(x)$ however badly the chains mix, so the estimate's
    expectation is below log p(x), and rises to it with `steps`. It does not depend on the encoder unless it starts
    there. Step sizes are found for each temperature by chains of their own and then frozen; Wu et al. adapt them
    along the chain that they measure.

    **Arguments:**

    - `steps`: T, the temperatures. `leapfrogs`: gradients to a transition. `chains`: c, for each example.
    - `start`: `zoo.evaluate.from_prior` or `zoo.evaluate.from_posterior`, or any function of the model and x to a
      distribution $p_0$ with `sample` and `log_prob`.
    - the others as in `log_likelihood`.

    **Returns:** `Annealed`; its `.estimates` are the means over the examples.

    **Raises:** as `log_likelihood`; `ValueError` for latents without gradients, such as codes.

    Wu et al., "On the Quantitative Analysis of Decoder-Based Generative Models", 2017, section 3; Neal, "Annealed
    Importance Sampling", 2001, equation 8.
    """
    call = "annealed_importance_sampling"
    check_annealing(call, model, steps, leapfrogs, chains)
    check_evaluation(call, model, xs, ys, k=chains, observe=observe)
    at_once = examples_at_once(model, ys, chains)
    found = map_examples(
        eqx.Partial(_anneal, steps=steps, leapfrogs=leapfrogs, chains=chains, start=start),
        model,
        xs,
        ys,
        observe=observe,
        at_once=at_once,
        per_call=at_once,
        progress="annealing" if progress else None,
        key=key,
    )
    check_finite(call, found.log_likelihood)
    return found


def check_annealing(call: str, model: AbstractVAE, steps: int, leapfrogs: int, chains: int) -> None:
    check_counts(call, steps=steps, leapfrogs=leapfrogs, chains=chains)
    check_weights(call, model)
    check_continuous(call, model)


def examples_at_once(model: AbstractVAE, ys: Array | np.ndarray | None, chains: int) -> int:
    return max(2 * draws_alive(model, ys) // chains, 1)


def _anneal(model, x, *, steps, leapfrogs, chains, start, key):
    path_key, plan_key, walk_key = jr.split(key, 3)
    path = Path(model, x, start(model, x), leapfrogs=leapfrogs, key=path_key)
    weights = path.forward(plan_walk(path, steps, chains=chains, key=plan_key), chains=chains, key=walk_key)
    mean, error = log_mean(weights.log_weight)
    return Annealed(mean, error, weights.acceptance)


def log_mean(log_weight: Float[Array, " chains"]) -> tuple[Array, Array]:
    """Compute the logarithm of the weights' mean, and its standard error to first order."""
    chains = log_weight.size
    total = logsumexp(log_weight)
    share = jnp.exp(log_weight - total)
    error = jnp.std(share, ddof=1) * math.sqrt(chains) if chains > 1 else jnp.full_like(total, jnp.nan)
    return total - math.log(chains), error
