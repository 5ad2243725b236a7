import math
import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Array, Float

from .. import data
from .._checks import check_counts
from ..likelihoods import Centred, find_integer_unit, thin
from ..models import AbstractVAE, check_labels
from ..spaces import is_euclidean


def check_evaluation(call: str, model: AbstractVAE, xs: Any, ys: Any, *, k: int, observe: Callable | None) -> None:
    """Refuse what cannot be scored, in Python and before anything compiles.

    **Arguments:** `call`: the name of the caller, for the message; the others as in `log_likelihood`.

    **Raises:** `ValueError` for a `k` that is no whole number or below 1, for examples of another shape, dtype or
    range than the model's, and for labels that it does not take.
    """
    check_counts(call, k=k)
    check_examples(f"{call}(xs)", model, xs, observe=observe)
    check_labels(f"{call}(ys)", model, ys, len(xs))
    warn_if_rounded(call, model, xs, observe)
    warn_if_foreign(call, model, xs, observe)


def check_examples(call: str, model: AbstractVAE, xs: Any, *, observe: Callable | None = None) -> None:
    """Refuse examples that this model does not take: values outside the likelihood's support, above all.

    **Arguments:** `call`: what the message calls them; `model`; `xs`: `(n, ...)`; `observe`: as in `log_likelihood`;
    what dequantises or binarises takes pixels, and a function of your own any finite numbers.

    **Raises:** `ValueError` for another shape, dtype or range, before anything compiles.
    """
    likelihood = model.likelihood
    support, unit, whole = likelihood.support, 255, False
    if observe in (data.dequantise, data.binarise):
        support = (0.0, 1.0)
    elif observe in (None, data.as_numbers):
        unit = find_integer_unit(likelihood, model.data_shape, getattr(xs, "dtype", None)) if observe is None else 1
        whole = likelihood.measure == "counting" and support != (0.0, 1.0)
    elif observe != data.scale:
        support, unit = (-math.inf, math.inf), 1
    data.check_batch(xs, shape=model.data_shape, support=support, integer_unit=unit, whole=whole, call=call)


def check_latents(call: str, model: AbstractVAE, zs: Any) -> None:
    """Refuse latents that are of another shape than those of this model's prior and posterior.

    **Raises:** `ValueError` that names both shapes, before anything compiles.
    """
    x = jax.ShapeDtypeStruct(model.data_shape, jnp.float32)
    own = [
        _shapes(eqx.filter_eval_shape(lambda: model.latent_prior.sample(key=jr.key(0)))),
        _shapes(eqx.filter_eval_shape(lambda x: model.posterior(x).sample(key=jr.key(0)), x)),
    ]
    found = _shapes(zs)
    if [shape[1:] for shape in found] not in own or len({shape[:1] for shape in found}) != 1:
        wanted = " and ".join("(" + ", ".join(["n", *map(str, shape)]) + ")" for shape in own[0])
        raise ValueError(
            f"`{call}` needs latents of shape {wanted}, got {' and '.join(map(str, found))}; "
            "`draw_latents` of the same model gives such latents, and `encode` where z is continuous"
        )
    if found[0][0] == 0:
        raise ValueError(f"`{call}` needs at least one latent, got none, shape {found[0]}; pass some")


def _shapes(tree: Any) -> list[tuple[int, ...]]:
    return [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]


def warn_if_rounded(call: str, model: AbstractVAE, xs: Any, observe: Callable | None) -> None:
    """Warn where a continuous density would be put on pixels rounded to 256 levels."""
    if model.likelihood.measure != "lebesgue" or observe not in (None, data.scale):
        return
    few = np.asarray(xs[:1000])
    white = 255 if few.dtype == np.uint8 else 1
    image = len(model.data_shape) == 3 or model.likelihood.support == (0.0, 1.0)
    if image and np.mean((few == 0) | (few == white)) > 0.01:
        warnings.warn(
            f"`{call}`: a continuous density of pixels that are exactly 0 or 1 has no upper bound, and its value "
            "says nothing about images; pass `observe=zoo.data.dequantise`",
            stacklevel=4,
        )


def warn_if_foreign(call: str, model: AbstractVAE, xs: Any, observe: Callable | None) -> None:
    """Warn where a table's columns are in other units than those of the data that the model was centred on."""
    likelihood = model.likelihood
    if not isinstance(likelihood, Centred) or observe not in (None, data.as_numbers) or np.ndim(xs) != 2:
        return
    few = jnp.asarray(thin(xs, 500), jnp.result_type(float))
    values = np.median(np.abs(np.asarray(jax.vmap(likelihood.standardise)(few))), axis=0)
    far = np.flatnonzero(values > 50)
    if len(far):
        columns = ", ".join(map(str, far[:5])) + (", ..." if len(far) > 5 else "")
        warnings.warn(
            f"`{call}`: in columns {columns} most values are over 50 scales away from those that the model was made "
            "for; are they in other units?",
            stacklevel=4,
        )


def check_weights(call: str, model: AbstractVAE) -> None:
    """Refuse a model that holds NaN: every number it could give would be NaN.

    **Raises:** `ValueError` that names the first such array.
    """
    for path, leaf in jtu.tree_flatten_with_path(eqx.filter(model, eqx.is_inexact_array))[0]:
        if np.isnan(np.asarray(leaf)).any():
            raise ValueError(
                f"`{call}`: the model's weights are not numbers: `model{jtu.keystr(path)}` holds NaN; train it again "
                "with a lower learning rate, or load an earlier checkpoint"
            )


def check_finite(call: str, values: Float[Array, " n ..."]) -> Float[Array, " n ..."]:
    """Return the values if all are finite.

    **Raises:** `FloatingPointError` that names the examples whose weights were infinite or not numbers.
    """
    rows = np.asarray(values).reshape(len(values), -1)
    odd = ~np.isfinite(rows)
    bad = np.flatnonzero(odd.any(axis=1))
    if bad.size:
        few = ", ".join(f"{i} ({rows[i][odd[i]][0]})" for i in bad[:10]) + (", ..." if bad.size > 10 else "")
        raise FloatingPointError(
            f"`{call}`: {bad.size} of {len(values)} examples have no finite value, as all their draws weigh nothing "
            f"or one is infinite or no number: examples {few}; look at these examples, or at the model's scales there"
        )
    return values


def check_continuous(call: str, model: AbstractVAE) -> None:
    """Refuse latents that cannot be moved along a gradient: codes, classes, directions on a sphere."""
    if not is_euclidean(model.latent_prior.space):
        raise ValueError(
            f"`{call}` moves z freely along gradients of log p(x, z), which the latents of a "
            f"`{type(model.prior).__name__}` prior do not allow; use `log_likelihood`, or a model with a prior such "
            "as `priors.StandardNormal`"
        )
