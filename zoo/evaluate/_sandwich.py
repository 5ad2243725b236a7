from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ..models import AbstractVAE, check_labels
from ._annealed import check_annealing, examples_at_once, log_mean
from ._annealing import Path, from_prior, plan_walk
from ._checks import check_finite
from ._estimate import Estimate, estimate_each
from ._examples import map_examples


class Sandwich(NamedTuple):
    """Two estimates of log p(x), nats, one value for each simulated example.

    **Fields:**

    - `lower`: below log p(x) on average.
    - `upper`: above it on average.
    - `xs`: the examples.
    """

    lower: Float[Array, " n"]
    upper: Float[Array, " n"]
    xs: Float[Array, " n ..."]

    @property
    def gap(self) -> Float[Array, " n"]:
        """How far the bounds are apart, in nats."""
        return self.upper - self.lower

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The means over the examples of both bounds and their gap, with their standard errors."""
        return estimate_each(self, ("lower", "upper", "gap"))


def sandwich(
    model: AbstractVAE,
    n: int,
    *,
    ys: Array | np.ndarray | None = None,
    steps: int = 500,
    leapfrogs: int = 10,
    chains: int = 16,
    start: Callable = from_prior,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Sandwich:
    r"""Bound log p(x) from both sides by bidirectional Monte Carlo, for data simulated from the model.

    $$z \sim p(z), \; x \sim p(x \mid z): \qquad
      E \log \frac1c \sum_i w_i \leq \log p(x) \leq E \left[ -\log \frac1c \sum_i \frac{1}{w_i'} \right]$$

    z is an exact draw from $p(z \mid x)$. From it chains go back along the path of `annealed_importance_sampling`, to
    weights $w'$ whose inverses have the mean $1 / p(x)$; the weights $w$ are those of chains the usual way. Where the
    bounds meet, annealing with these settings can be trusted on data like the model's own.

    **Arguments:** `n`: examples to be simulated, at least 1; `ys`: their labels, for a `ConditionalVAE`; the others as
    in `annealed_importance_sampling`.

    **Raises:** as `annealed_importance_sampling`.

    Grosse et al., "Sandwiching the marginal likelihood using bidirectional Monte Carlo", 2015, section 4; Wu et al.,
    "On the Quantitative Analysis of Decoder-Based Generative Models", 2017, section 4.2.
    """
    check_counts("sandwich", n=n)
    check_annealing("sandwich", model, steps, leapfrogs, chains)
    check_labels("sandwich(ys)", model, ys, n)
    at_once = examples_at_once(model, ys, 2 * chains)
    found = map_examples(
        eqx.Partial(_simulate_and_bound, steps=steps, leapfrogs=leapfrogs, chains=chains, start=start),
        model,
        np.zeros(n, np.float32),
        ys,
        observe=None,
        at_once=at_once,
        per_call=at_once,
        progress="sandwich" if progress else None,
        key=key,
    )
    check_finite("sandwich", found.gap)
    return found


def _simulate_and_bound(model, _, *, steps, leapfrogs, chains, start, key):
    prior_key, noise_key, path_key, plan_key, forward_key, backward_key = jr.split(key, 6)
    z = model.latent_prior.sample(key=prior_key)
    x = model.likelihood.sample(model.decode(z), key=noise_key)
    path = Path(model, x, start(model, x), leapfrogs=leapfrogs, key=path_key)
    walk = plan_walk(path, steps, chains=chains, key=plan_key)
    forward = path.forward(walk, chains=chains, key=forward_key)
    backward = path.backward(z, walk, chains=chains, key=backward_key)
    return Sandwich(log_mean(forward.log_weight)[0], -log_mean(-backward.log_weight)[0], x)
