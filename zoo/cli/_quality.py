"""What `zoo evaluate --metrics` says of samples: as many as examples, each the mean E[x | z] at z from the prior.

Means, because the noise that a likelihood adds is no part of what a picture shows; the examples are their pixels, and
not what the model sees of them. Clothes are compared in the space of `zoo.fashion_features`, other pictures as pixels.
"""

import zoo

from ._metrics import Measured, Rows, row_of


def frechet_distance(run: Measured) -> Rows:
    """The standard error is the jackknife's."""
    import jax.random as jr

    images, samples = run.features
    found = zoo.estimate_metric(
        zoo.frechet_distance, (images,), (samples,), progress=run.progress, key=jr.fold_in(run.key, 3)
    )
    return {f"frechet_distance ({run.space})": row_of(found, "squared distance")}


def precision_recall(run: Measured) -> Rows:
    """The standard errors are those of the points judged, the others held fixed."""
    images, samples = run.features
    found = zoo.precision_recall(images, samples, progress=run.progress)
    return {f"{name} ({run.space})": row_of(part, "probability") for name, part in found._asdict().items()}


def density_coverage(run: Measured) -> Rows:
    """The standard errors are as in `precision_recall`."""
    images, samples = run.features
    found = zoo.density_coverage(images, samples, progress=run.progress)
    units = {"density": "of 1 where alike", "coverage": "probability"}
    return {f"{name} ({run.space})": row_of(part, units[name]) for name, part in found._asdict().items()}


def mmd(run: Measured) -> Rows:
    """The standard errors are that of the points and, of the p-value, that of the permutations."""
    import jax.random as jr

    images, samples = run.features
    found = zoo.mmd_test(images, samples, progress=run.progress, key=jr.fold_in(run.key, 4))
    return {
        f"mmd ({run.space})": row_of(found.squared_mmd, "squared distance"),
        f"mmd: p-value ({run.space})": row_of(found.p_value, "probability"),
    }


def nearest_copies(run: Measured) -> Rows:
    """The standard errors are those of the samples and the held-out examples."""
    images, samples = run.features
    training = run.in_space(run.dataset.train)
    found = zoo.nearest_copies(samples, training, images, progress=run.progress)
    exact = zoo.evaluate.estimate(1.0 * (found.distances == 0))
    return {
        f"nearest_copies: closer than held-out ({run.space})": row_of(found.closer, "probability"),
        f"nearest_copies: exact ({run.space})": row_of(exact, "probability"),
    }
