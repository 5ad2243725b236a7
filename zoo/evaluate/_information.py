import numpy as np
from jaxtyping import Float, Int

from .._checks import check_counts


def bin_codes(codes: Float[np.ndarray, " n latents"], bins: int, call: str) -> Int[np.ndarray, " n latents"]:
    """Replace each code by the number of its bin; a latent's bins share its range equally.

    **Raises:** `ValueError` for fewer than 2 bins.
    """
    check_counts(call, bins=bins, at_least=2)
    low, high = codes.min(axis=0), codes.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    return np.minimum((codes - low) / width * bins, bins - 1).astype(np.int64)


def mutual_information(
    codes: Int[np.ndarray, " n latents"], factors: Int[np.ndarray, " n factors"]
) -> Float[np.ndarray, " latents factors"]:
    r"""$I(c_j; v_k)$ in nats, of the empirical joint distribution of whole numbers."""
    return np.array([[_information(code, factor) for factor in factors.T] for code in codes.T])


def entropy(factors: Int[np.ndarray, " n factors"]) -> Float[np.ndarray, " factors"]:
    """The entropy of each column in nats, of the empirical distribution."""
    return np.array([_entropy(np.bincount(factor) / len(factor)) for factor in factors.T])


def _information(code, factor):
    columns = int(factor.max()) + 1
    joint = np.bincount(code * columns + factor, minlength=(int(code.max()) + 1) * columns)
    joint = joint.reshape(-1, columns) / len(code)
    # Rounding may leave it below zero.
    return max(_entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0)) - _entropy(joint), 0.0)


def _entropy(probabilities):
    positive = probabilities[probabilities > 0]
    return -float(np.sum(positive * np.log(positive)))
