from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from ._arrays import as_pair
from ._estimate import Estimate, estimate
from ._neighbours import nearest


class Copies(NamedTuple):
    """The result of `nearest_copies`.

    **Fields:**

    - `distances`, `places`: of each sample's nearest training example.
    - `held_out_distances`: of each held-out example's nearest training example.
    - `exact`: the number of samples that equal a training example.
    - `closer`: the probability that a sample is closer to the training examples than a held-out example is: 1/2 where
      the samples are as fresh as new data, near 1 where they are copies; with its standard error.
    """

    distances: Float[np.ndarray, " samples"]
    places: Int[np.ndarray, " samples"]
    held_out_distances: Float[np.ndarray, " held_out"]
    exact: int
    closer: Estimate


def nearest_copies(
    samples: Array | np.ndarray,
    training: Array | np.ndarray,
    held_out: Array | np.ndarray,
    *,
    progress: bool = False,
) -> Copies:
    r"""Look whether a model repeats its training data: find each sample's nearest training example.

    Real data that the model was not trained on say how near is usual:

    $$P(d(y) < d(x)) + \tfrac12 P(d(y) = d(x)), \qquad d(\cdot) = \min_i |\cdot - x_i^{\text{train}}|$$

    for a sample y and a held-out x. Blurred samples, such as means of a decoder, are nearer to everything: a value
    above 1/2 is copying only if the samples are as varied as the data.

    **Arguments:** `samples`, `training`, `held_out`: `(n, ...)`, features or images of one space; the held-out ones
    of the same distribution as the training ones. `progress`: whether to show a bar of each pass.

    **Returns:** `Copies`; look at the pairs of smallest distance, `training[places]`.

    **Raises:** `ValueError` for sets that are empty, not finite or of different spaces.

    Meehan et al., "A non-parametric test to detect data-copying in generative models", 2020, section 3: its global
    test, whose Mann-Whitney statistic this is, over the number of pairs. The standard error is that of DeLong et al.,
    1988.
    """
    points, others = as_pair("nearest_copies", "samples", samples, "training", training)
    references, _ = as_pair("nearest_copies", "held_out", held_out, "training", training)
    bar = "neighbours" if progress else None
    distances, places = nearest(points, others, 1, progress=bar)
    held_out_distances = nearest(references, others, 1, progress=bar)[0][:, 0]
    distances, places = distances[:, 0], places[:, 0]
    closer = _closer(distances, held_out_distances)
    return Copies(distances, places, held_out_distances, int(np.sum(distances == 0)), closer)


def _closer(distances: Float[np.ndarray, " n"], others: Float[np.ndarray, " m"]) -> Estimate:
    """Estimate P(distance < other) + P(equal) / 2, with its standard error."""
    beaten = 1 - _rank(distances, others)  # by each distance
    beating = _rank(others, distances)  # each of the others
    error = np.hypot(estimate(beaten).standard_error, estimate(beating).standard_error)
    return Estimate(estimate(beaten).mean, error)


def _rank(values, others):
    """Compute the part of the others that lies below each value; equal ones count half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * len(others))
