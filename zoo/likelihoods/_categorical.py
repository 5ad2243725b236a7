import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ._likelihood import Likelihood
from ._marginals import stack
from ._split import groups, split


def categorical_log_prob(params: Float[Array, " ..."], x: Array, *, classes: int) -> Scalar:
    *_, x = split(params, x, classes, "categorical")
    logits = params.reshape(classes, *x.shape)
    label = jnp.clip(x, 0, classes - 1).astype(jnp.int32)
    # Looked up, as an array that says of each class whether it is the label's would be as large as the logits.
    chosen = jnp.take_along_axis(logits, label[None], axis=0)[0]
    each = chosen - jax.nn.logsumexp(logits, axis=0)
    return jnp.sum(jnp.where(label.astype(x.dtype) == x, each, -jnp.inf))


def categorical_marginals(xs: Float[Array | np.ndarray, " n ..."], *, classes: int) -> Float[Array, " ..."]:
    # Half a count more of each class, or one that never occurs would start at minus infinity.
    counts = [(np.asarray(xs) == label).sum(axis=0) + 0.5 for label in range(classes)]
    return stack(*(np.log(count) - math.log(len(xs) + 0.5 * classes) for count in counts))


def categorical_mean(params: Float[Array, " ..."], *, classes: int) -> Float[Array, " ..."]:
    probs = jax.nn.softmax(jnp.stack(groups(params, classes, "categorical")), axis=0)
    return jnp.tensordot(jnp.arange(classes, dtype=probs.dtype), probs, axes=1)


def categorical_sample(params: Float[Array, " ..."], *, key: PRNGKeyArray, classes: int) -> Float[Array, " ..."]:
    logits = jnp.stack(groups(params, classes, "categorical"))
    return jr.categorical(key, logits, axis=0).astype(params.dtype)


def categorical(classes: int) -> Likelihood:
    r"""One of `classes` labels in every dimension, one logit for each label.

    $$\log p(x \mid \eta) = \eta_x - \log \sum_c e^{\eta_c}$$

    A probability (counting measure) of labels 0, 1, ..., classes - 1, given as whole floats; -inf for any
    other x. The channels are the labels' logits, in order. `mean` is that of the label as a number, which
    says something only where labels are ordered, as grey levels are.

    **Arguments:**

    - `classes`: how many labels, at least 2.

    **Raises:**

    `ValueError` if there are fewer than two.
    """
    if classes < 2:
        raise ValueError(f"`categorical(classes={classes})`: at least two labels are needed; pass classes >= 2")
    return Likelihood(
        eqx.Partial(categorical_log_prob, classes=classes),
        eqx.Partial(categorical_mean, classes=classes),
        eqx.Partial(categorical_sample, classes=classes),
        channels=classes,
        measure="counting",
        support=(0.0, float(classes - 1)),
        integer_unit=1,
        marginals=eqx.Partial(categorical_marginals, classes=classes),
    )
