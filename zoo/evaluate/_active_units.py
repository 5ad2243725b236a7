import math
from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..models import AbstractVAE
from ..posteriors import DiagonalNormal, Laplace
from ._checks import check_evaluation, check_finite, check_weights
from ._estimate import Estimate, estimate
from ._examples import map_examples


class ActiveUnits(NamedTuple):
    r"""The record of which dimensions of z a model uses, and which have collapsed to the prior.

    **Fields:**

    - `variance`: $\mathrm{Var}_x(E_{q(z \mid x)}[z_j])$ of each unit, `(units,)`, with its standard error.
    - `kl`: $E_x \, KL(q(z_j \mid x) \,\|\, p(z_j))$, nats, `(units,)`, or `None` where the pair of posterior and
      prior has no closed form for each unit.
    - `threshold`: of the variance, above which a unit is active.
    """

    variance: Estimate
    kl: Estimate | None
    threshold: float

    @property
    def active(self) -> Bool[np.ndarray, " units"]:
        """True for each unit whose variance is above the threshold."""
        return self.variance.mean > self.threshold

    @property
    def num_active(self) -> int:
        """The number of active units."""
        return int(np.sum(self.active))

    @property
    def standard_error(self) -> float:
        """The standard error of `num_active`: each unit counts by how near to the threshold its variance is."""
        above = (self.variance.mean - self.threshold) / np.maximum(self.variance.standard_error, 1e-30)
        chances = [NormalDist().cdf(value) for value in above.tolist()]
        return math.sqrt(sum(chance * (1 - chance) for chance in chances))

    @property
    def collapsed(self) -> Int[np.ndarray, " inactive"]:
        """The units that are not active, by their places in z."""
        return np.flatnonzero(~self.active)

    def report(self) -> str:
        """Write a table with a line for each unit, the busiest first."""
        units = len(self.active)
        lines = [f"{self.num_active} of {units} units are active: Var_x(E[z]) > {self.threshold:g}"]
        for unit in np.argsort(-self.variance.mean, kind="stable").tolist():
            line = f"{unit:>6}  variance {_with_error(self.variance, unit)}"
            if self.kl is not None:
                line += f"  KL {_with_error(self.kl, unit)} nats"
            lines.append(line + ("" if self.active[unit] else "  collapsed"))
        return "\n".join(lines)


def active_units(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    threshold: float = 0.01,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> ActiveUnits:
    r"""Find the units of z whose posterior means move with the data; the others have collapsed.

    $$A_j = \mathrm{Var}_x \left( E_{q(z \mid x)} [z_j] \right) > 0.01$$

    A unit that has collapsed has a posterior that is the prior, whatever x: its KL divergence is about 0 too.
    Layers of latents are taken one after the other.

    **Arguments:** `threshold`: of the variance; the others as in `log_likelihood`. At least 2 examples are needed.

    **Raises:** as `log_likelihood`; `ValueError` for fewer than 2 examples.

    Burda et al., "Importance Weighted Autoencoders", 2016, section 5.2.
    """
    check_evaluation("active_units", model, xs, ys, k=1, observe=observe)
    check_weights("active_units", model)
    if len(xs) < 2:
        raise ValueError(f"`active_units` needs at least 2 examples for a variance, got {len(xs)}; pass more")
    means, kls = map_examples(
        _mean_and_kl,
        model,
        xs,
        ys,
        observe=observe,
        at_once=256,
        per_call=1024,
        progress="active units" if progress else None,
        key=key,
    )
    check_finite("active_units", means)
    return ActiveUnits(_variance(means), None if kls is None else estimate(kls), threshold)


def _mean_and_kl(model, x, *, key):
    posterior = model.posterior(x)
    independent = isinstance(posterior, DiagonalNormal | Laplace)
    kl = posterior.kl_per_dimension(model.latent_prior) if independent else None
    return ravel_pytree(posterior.mean)[0], kl


def _variance(means: Float[Array, " n units"]) -> Estimate:
    """Estimate the variance over the examples, with a standard error that comes from the fourth moment."""
    values, n = np.asarray(means, np.float64), len(means)
    squares = (values - values.mean(axis=0, keepdims=True)) ** 2
    variance = squares.sum(axis=0) / (n - 1)
    return Estimate(variance, np.sqrt((squares.var(axis=0) + 2 / (n - 1) * variance**2) / n))


def _with_error(found: Estimate, unit: int) -> str:
    return f"{found.mean[unit]:.4g} +- {found.standard_error[unit]:.2g}"
