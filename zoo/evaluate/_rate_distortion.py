from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..models import AbstractVAE
from ._checks import check_evaluation, check_finite, check_weights
from ._estimate import estimate
from ._examples import map_draws


class RateDistortion(NamedTuple):
    """A point for each model, in nats per example; `zoo.plots.rate_distortion` takes the first three.

    **Fields:** `rates`, `distortions`, `betas`: `(models,)`, in the order given; `rate_errors`, `distortion_errors`:
    the standard errors of the first two.
    """

    rates: Float[np.ndarray, " models"]
    distortions: Float[np.ndarray, " models"]
    betas: Float[np.ndarray, " models"]
    rate_errors: Float[np.ndarray, " models"]
    distortion_errors: Float[np.ndarray, " models"]


def rate_distortion(
    models: Sequence[AbstractVAE],
    xs: Array | np.ndarray,
    *,
    betas: Sequence[int | float] | np.ndarray,
    ys: Array | np.ndarray | None = None,
    k: int = 1,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> RateDistortion:
    r"""Measure rate and distortion of models that were trained at different prices of a nat of code.

    $$R = E_x \, KL(q(z \mid x) \,\|\, p(z)), \qquad D = -E_x E_{q(z \mid x)} \log p(x \mid z)$$

    $-R - D$ is the ELBO, whatever beta a model was trained with. The models that train best at each beta make a
    convex curve, along which $\partial D / \partial R = -\beta$. The rate is the closed form where the posterior and
    the prior have one, else the mean of $\log q(z \mid x) - \log p(z)$ over the draws. All models see the same noise,
    so their differences are sharper than the standard errors.

    **Arguments:**

    - `models`: trained models, of any kinds; those of one structure, such as `zoo.train.fit_many` trains, share a
      program.
    - `betas`: what each was trained with.
    - `k`: draws for each example.
    - the others as in `log_likelihood`: examples that none was trained on.

    **Returns:** `RateDistortion`.

    **Raises:** as `log_likelihood`; `ValueError` for no models, another number of betas, and posteriors without a
    density.

    Alemi et al., "Fixing a Broken ELBO", 2018, section 2.
    """
    betas = np.asarray(betas, np.float64)
    if len(models) == 0 or betas.shape != (len(models),):
        raise ValueError(
            f"`rate_distortion` needs one beta for each model, got {len(models)} models and betas of shape "
            f"{betas.shape}; pass at least one model"
        )
    for model in models:
        check_evaluation("rate_distortion", model, xs, ys, k=k, observe=observe)
        check_weights("rate_distortion", model)
    points = []
    for beta, model in zip(betas, models, strict=True):
        bar = f"beta = {beta:g}" if progress else None
        found = map_draws(_rate_and_distortion, model, xs, ys, k=k, observe=observe, progress=bar, key=key)
        points.append([estimate(check_finite("rate_distortion", values)) for values in found])
    rates, distortions = zip(*points, strict=True)
    columns = [np.array(column) for part in (rates, distortions) for column in zip(*part, strict=True)]
    return RateDistortion(columns[0], columns[2], betas, columns[1], columns[3])


def _rate_and_distortion(model, x, *, k, key):
    draws = model.draw(x, k=k, key=key)
    rate = jnp.mean(draws.rate) if draws.kl is None else draws.kl
    return rate, -jnp.mean(draws.log_likelihood)
