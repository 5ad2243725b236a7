import functools
import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jaxtyping import Array

from ..models import AbstractVAE, given


def draws_alive(model: AbstractVAE, ys: Array | np.ndarray | None) -> int:
    """Choose how many draws to score together: as many as fill the memory that is well spent on them.

    That is 2 million floats on a CPU, 8 MiB, in the largest array that the draws make: 41 draws of the convolutional
    decoder at 28 x 28, 2674 of an MLP to as many pixels. More leave the cache, fewer leave a core without work.

    **Arguments:** `model`; `ys`: the labels of its examples, `(n, ...)`, or `None`.
    """
    budget = 2**21 if jax.default_backend() == "cpu" else 2**27
    label = None if ys is None else _shape(ys[0])
    leaves, structure = jax.tree.flatten(model)
    shapes = (_shape(leaf) if eqx.is_array(leaf) else leaf for leaf in leaves)
    return max(budget // _floats_per_draw(structure, tuple(shapes), label), 1)


def _shape(array: Any) -> jax.ShapeDtypeStruct:
    array = jnp.asarray(array)  # NumPy's 64 bits become JAX's 32
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


@functools.lru_cache(maxsize=64)
def _floats_per_draw(structure: Any, leaves: tuple, label: Any) -> int:
    """Count the floats by which the largest array grows when one more example is scored with one draw."""
    model = jax.tree.unflatten(structure, leaves)

    def sizes(n: int) -> list[int]:
        def scores(model, label, xs):
            model = given(model, None if label is None else jnp.zeros(label.shape, label.dtype))
            return jax.vmap(lambda x: score(model, x))(xs)

        def score(model, x):
            z = model.posterior(x).sample(key=jr.key(0))
            return model.likelihood.log_prob(model.decode(z), x), model.latent_prior.log_prob(z)

        xs = jax.ShapeDtypeStruct((n, *model.data_shape), jnp.float32)
        return list(_sizes(eqx.filter_make_jaxpr(scores)(model, label, xs)[0].jaxpr))

    return max((more - one for one, more in zip(sizes(1), sizes(2))), default=1)


def _sizes(jaxpr: Jaxpr) -> Iterator[int]:
    """Yield the sizes of all arrays that a program computes, those of the programs in it included."""
    for equation in jaxpr.eqns:
        yield from (math.prod(getattr(out.aval, "shape", ())) for out in equation.outvars)
        parts = jax.tree.leaves(equation.params, is_leaf=lambda part: isinstance(part, Jaxpr | ClosedJaxpr))
        for part in parts:
            if isinstance(part, Jaxpr | ClosedJaxpr):
                yield from _sizes(part.jaxpr if isinstance(part, ClosedJaxpr) else part)
