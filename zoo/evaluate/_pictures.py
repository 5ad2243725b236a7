from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from .._checks import check_counts
from ..models import AbstractVAE, ConditionalVAE, check_labels, given
from ._checks import check_evaluation, check_latents, check_weights
from ._examples import map_examples, map_rows


def reconstruct(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, " n ..."]:
    r"""Reconstruct each example: $E[x' \mid z]$ at one $z \sim q(z \mid x)$.

    **Arguments:** `model`: a trained model; `xs`: `(n, ...)`, uint8 pixels or floats; `ys`: labels, for a
    `ConditionalVAE`; `observe`: as in `zoo.fit`; `progress`: whether to show a bar.

    **Returns:** the likelihood's means, of the examples' shape.
    """
    return _check_and_map("reconstruct", _reconstruction, model, xs, ys, observe, progress, key)


def _reconstruction(model, x, *, key):
    return model.likelihood.mean(model.decode(model.posterior(x).sample(key=key)))


def encode(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> PyTree[Float[Array, " n ..."]]:
    """Encode each example as its posterior mean, E[z | x].

    **Arguments:** as in `reconstruct`.

    **Returns:** the means, `(n, ...)`; of a model whose z has layers, a tuple of them, the data's end first.
    """
    return _check_and_map("encode", _mean, model, xs, ys, observe, progress, key)


def draw_latents(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> PyTree[Shaped[Array, " n ..."]]:
    """Draw one z ~ q(z | x) for each example: together, draws of the aggregated posterior.

    **Arguments:** as in `reconstruct`.

    **Returns:** the draws, `(n, ...)`, of the structure of the model's z.
    """
    return _check_and_map("draw_latents", _draw, model, xs, ys, observe, progress, key)


def _draw(model, x, *, key):
    return model.posterior(x).sample(key=key)


def _mean(model, x, *, key):
    return model.posterior(x).mean


def _check_and_map(call, function, model, xs, ys, observe, progress, key):
    check_evaluation(call, model, xs, ys, k=1, observe=observe)
    check_weights(call, model)
    bar = call if progress else None
    return map_examples(function, model, xs, ys, observe=observe, at_once=256, per_call=1024, progress=bar, key=key)


def decode_means(
    model: AbstractVAE, zs: PyTree[Shaped[Array | np.ndarray, " n ..."]], *, progress: bool = False
) -> Float[Array, " n ..."]:
    """Decode each latent to the likelihood's mean, $E[x | z]$: what a picture of z shows.

    **Arguments:** `model`: a trained model; `zs`: latents `(n, ...)`, such as `draw_latents` returns, and `encode` of
    a model whose z is continuous; `progress`: whether to show a bar.

    **Returns:** the means `(n, ...)`, of the examples' shape; pixels in [0, 1].

    **Raises:** `ValueError` for no latents, latents of another model's shape, and weights that are NaN.
    """
    check_latents("decode_means(zs)", model, zs)
    check_weights("decode_means", model)
    return map_rows(
        eqx.Partial(_decode_mean, model), zs, at_once=256, per_call=1024, progress="decode_means" if progress else None
    )


def _decode_mean(model, z):
    return model.likelihood.mean(model.decode(z))


def sample(
    model: AbstractVAE,
    n: int | None = None,
    *,
    y: Any = None,
    noise: bool = False,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, " n ..."]:
    r"""Sample examples from the model: $z \sim p(z)$, then the likelihood.

    **Arguments:**

    - `model`: a trained model.
    - `n`: how many, at least 1; unless given one, or one for each label.
    - `y`: for a `ConditionalVAE`: one label, or `n` of them.
    - `noise`: `True` for $x \sim p(x \mid z)$, a sample of the model's density, observation noise included;
      `False` for $E[x \mid z]$, what a picture shows.
    - `progress`: whether to show a bar.

    **Raises:** `ValueError` for n below 1, for labels that the model does not take and for weights that are NaN.
    """
    ys = None if y is None else np.asarray(y)
    if isinstance(model, ConditionalVAE) and ys is not None:
        alone = 0 if model.num_classes is not None else 1
        n = (1 if ys.ndim <= alone else len(ys)) if n is None else n
        ys = np.broadcast_to(ys, (n, *ys.shape)) if ys.ndim <= alone else ys
    n = 1 if n is None else n
    check_counts("sample", n=n)
    check_labels("sample(y)", model, ys, n)
    check_weights("sample", model)
    rows, bar = (ys, jr.split(key, n)), "sample" if progress else None
    return map_rows(eqx.Partial(_sample, model, noise), rows, at_once=256, per_call=1024, progress=bar)


def _sample(model, noise, row):
    y, key = row
    prior_key, noise_key = jr.split(key)
    conditioned = given(model, y)
    params = conditioned.decode(conditioned.latent_prior.sample(key=prior_key))
    return conditioned.likelihood.sample(params, key=noise_key) if noise else conditioned.likelihood.mean(params)
