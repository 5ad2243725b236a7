from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float


class PrincipalAxes(NamedTuple):
    """The principal axes of points, the widest first.

    **Fields:** `mean`: `(latent,)`; `components`: orthonormal rows `(latent, latent)`; `variances`: along
    each of them, `(latent,)`.
    """

    mean: Float[np.ndarray, " latent"]
    components: Float[np.ndarray, " axes latent"]
    variances: Float[np.ndarray, " axes"]

    def project(self, zs: Array | np.ndarray) -> Float[np.ndarray, " n axes"]:
        """Project latents to coordinates along the axes, from the mean."""
        return (np.asarray(zs, np.float64) - self.mean) @ self.components.T


def principal_axes(zs: Array | np.ndarray) -> PrincipalAxes:
    """Find the eigenvectors of the covariance in float64, each pointing where its largest entry is positive."""
    zs = np.asarray(zs, np.float64)
    mean = zs.mean(axis=0)
    centred = zs - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(zs))
    components = vectors.T[::-1]
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return PrincipalAxes(mean, components * np.sign(largest), np.maximum(variances[::-1], 0.0))


def check_latents(call: str, zs: Array | np.ndarray) -> np.ndarray:
    """Check that there are at least 2 finite latents.

    **Raises:** `ValueError` otherwise.
    """
    zs = np.asarray(zs)
    if zs.ndim != 2:
        raise ValueError(f"`{call}(zs)` needs latents of shape (n, latent), got {zs.shape}; `zoo.encode` gives them")
    if len(zs) < 2 or zs.shape[1] < 1:
        raise ValueError(f"`{call}(zs)` needs at least 2 latents, got shape {zs.shape}; encode more examples")
    if not np.isfinite(zs).all():
        bad = int(np.sum(~np.isfinite(zs)))
        raise ValueError(f"`{call}(zs)`: {bad} values are not finite; encode with a model that has not diverged")
    return zs
