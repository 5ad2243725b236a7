"""What can be measured of samples: as many as examples, each the mean E[x | z] at z from the prior.

Means, because the noise that a likelihood adds is no part of what a picture shows; the examples are their pixels, and
not what the model sees of them. Clothes are compared in the space of `zoo.fashion_features`, other pictures as pixels.
"""

from typing import Any

import jax.random as jr

from .. import evaluate
from ._measured import Measured, Rows, row_of


def frechet_distance(run: Measured) -> Rows:
    """The standard error is the jackknife's."""
    images, samples = ((part,) for part in run.features)
    found = evaluate.estimate_metric(
        evaluate.frechet_distance, images, samples, progress=run.progress, key=jr.fold_in(run.key, 3)
    )
    return _rows(run, "squared distance", {"frechet_distance": found})


def precision_recall(run: Measured) -> Rows:
    """The standard errors are those of the points judged, the others held fixed."""
    found = evaluate.precision_recall(*run.features, progress=run.progress)
    return _rows(run, "probability", found._asdict())


def density_coverage(run: Measured) -> Rows:
    """The standard errors are as in `precision_recall`."""
    found = evaluate.density_coverage(*run.features, progress=run.progress)
    density = _rows(run, "of 1 where alike", {"density": found.density})
    return density | _rows(run, "probability", {"coverage": found.coverage})


def mmd(run: Measured) -> Rows:
    """The standard errors are that of the points and, of the p-value, that of the permutations."""
    found = evaluate.mmd_test(*run.features, progress=run.progress, key=jr.fold_in(run.key, 4))
    distance = _rows(run, "squared distance", {"mmd": found.squared_mmd})
    return distance | _rows(run, "probability", {"mmd: p-value": found.p_value})


def nearest_copies(run: Measured) -> Rows:
    """The standard errors are those of the samples and the held-out examples."""
    images, samples = run.features
    found = evaluate.nearest_copies(samples, run.in_space(run.dataset.train), images, progress=run.progress)
    shares = {"closer than held-out": found.closer, "exact": evaluate.estimate(1.0 * (found.distances == 0))}
    return _rows(run, "probability", {f"nearest_copies: {name}": share for name, share in shares.items()})


def _rows(run: Measured, unit: str, estimates: dict[str, Any]) -> Rows:
    return {f"{name} ({run.space})": row_of(found, unit) for name, found in estimates.items()}
