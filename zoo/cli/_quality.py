"""What `zoo evaluate --metrics` says of samples: as many as examples, each the mean E[x | z] at z from the prior.

Means, because the noise that a likelihood adds is no part of what a picture shows; the examples are their pixels, and
not what the model sees of them.
"""

import numpy as np

import zoo

from ._metrics import Measured, Row, Rows, row_of


def frechet_distance(run: Measured) -> Rows:
    """The standard error is the jackknife's."""
    import jax.random as jr

    space, images, samples = _features(run)
    found = zoo.jackknife(zoo.frechet_distance, (images,), (samples,), key=jr.fold_in(run.key, 3))
    return {f"frechet_distance ({space})": row_of(found, "squared distance")}


def precision_recall(run: Measured) -> Rows:
    """The standard errors are those of the points judged, the others held fixed."""
    space, images, samples = _features(run)
    found = zoo.precision_recall(images, samples, progress=run.progress)
    return {f"{name} ({space})": row_of(part, "probability") for name, part in found._asdict().items()}


def density_coverage(run: Measured) -> Rows:
    """The standard errors are as in `precision_recall`."""
    space, images, samples = _features(run)
    found = zoo.density_coverage(images, samples, progress=run.progress)
    units = {"density": "of 1 where alike", "coverage": "probability"}
    return {f"{name} ({space})": row_of(part, units[name]) for name, part in found._asdict().items()}


def mmd(run: Measured) -> Rows:
    """The squared distance has no standard error: near 0, where it matters, it is not normal, and the p-value, whose
    error is that of the permutations, says how large it is.
    """
    import jax.random as jr

    space, images, samples = _features(run)
    found = zoo.mmd_test(images, samples, progress=run.progress, key=jr.fold_in(run.key, 4))
    return {
        f"mmd ({space})": Row(found.squared_mmd, None, "squared distance"),
        f"mmd: p-value ({space})": Row(found.p_value, found.standard_error, "probability"),
    }


def nearest_copies(run: Measured) -> Rows:
    """The number of exact copies is a count of these samples, and has no standard error."""
    space, images, samples = _features(run)
    training = _space(run.dataset.train)[1]
    found = zoo.nearest_copies(samples, training, images, progress=run.progress)
    return {
        f"nearest_copies: closer than held-out ({space})": row_of(found.closer, "probability"),
        f"nearest_copies: exact ({space})": Row(found.exact, None, f"of {len(samples)}"),
    }


def _features(run: Measured) -> tuple[str, np.ndarray, np.ndarray]:
    """The name of the space, and the examples and the samples in it."""
    space, images = _space(run.dataset.test)
    return space, images, _space(run.samples)[1]


def _space(images: np.ndarray) -> tuple[str, np.ndarray]:
    if images.shape[1:] == (1, 28, 28):
        return "fashion_features", np.asarray(zoo.fashion_features(images))
    return "pixels", np.asarray(images)
