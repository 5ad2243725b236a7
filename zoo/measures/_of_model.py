"""What can be measured of a model: its bounds, what they are made of, and which of its latents are in use."""

import math
from typing import Any

import jax

from .. import data, evaluate, likelihoods, objectives
from ._measured import Measured, Row, Rows, row_of, row_of_values


DECOMPOSITION_K, STEPS, CHAINS = 10, 500, 16


def log_likelihood(run: Measured) -> Rows:
    model, examples = run.model, run.examples
    elbo = evaluate.bound(model, **examples, objective=objectives.elbo, k=1)
    values = evaluate.log_likelihood(model, **examples, k=run.k)
    rows = {"elbo": row_of_values(elbo, 1), f"log_likelihood (k={run.k})": row_of_values(values, run.k)}
    # A density of pixels that were not dequantised has no bits.
    dequantised = run.observe is data.dequantise
    if run.dataset.is_images and dequantised == (model.likelihood.measure == "lebesgue"):
        size, measure = math.prod(model.data_shape), model.likelihood.measure
        bits = likelihoods.bits_per_dimension(values, size, measure=measure)
        rows["bits per dimension"] = row_of_values(bits, run.k, "bits")
    if run.dataset.log_density is not None:
        rows["KL(true || model)"] = row_of_values(jax.vmap(run.dataset.log_density)(examples["xs"]) - values, run.k)
    return rows


def reconstruction(run: Measured) -> Rows:
    """The only number that there is of a posterior without a density: it has no bound."""
    values = evaluate.bound(run.model, **run.examples, objective=objectives.reconstruction, k=1)
    return {"log p(x | z), no bound": row_of_values(values, 1)}


def elbo_decomposition(run: Measured) -> Rows:
    k = min(run.k, DECOMPOSITION_K)
    found = evaluate.elbo_decomposition(run.model, **run.examples, k=k)
    return _in_nats(f"elbo_decomposition (k={k})", found.estimates, k)


def active_units(run: Measured) -> Rows:
    found = evaluate.active_units(run.model, **run.examples)
    rows = {"active units": Row(found.num_active, found.standard_error, f"of {len(found.active)}")}
    for name, column, unit in (("variance", found.variance, "z^2"), ("KL", found.kl, "nats")):
        for j, (mean, error) in enumerate(zip(column.mean, column.standard_error) if column else ()):
            rows[f"active_units: {name} of unit {j}"] = Row(float(mean), float(error), unit)
    return rows


def gaps(run: Measured) -> Rows:
    found = evaluate.gaps(run.model, **run.examples, k=run.k)
    return _in_nats(f"gaps (k={run.k})", found.estimates, run.k)


def ais(run: Measured) -> Rows:
    found = evaluate.annealed_importance_sampling(run.model, **run.examples, steps=STEPS, chains=CHAINS)
    rows = _in_nats(metric := f"ais ({STEPS} steps, {CHAINS} chains)", found.estimates)
    accepted = f"{metric}: acceptance"
    return rows | {accepted: rows[accepted]._replace(unit="probability")}


def _in_nats(metric: str, estimates: dict[str, Any], k: int | None = None) -> Rows:
    return {f"{metric}: {name}": row_of(found, "nats", k) for name, found in estimates.items()}
