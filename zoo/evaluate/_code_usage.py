from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..models import VQVAE, AbstractVAE
from ._pictures import draw_latents


class CodeUsage(NamedTuple):
    r"""The record of how a set of examples uses a codebook.

    **Fields:**

    - `counts`: how often each code was chosen, `(codes,)`.
    - `perplexity`: $e^{H}$ with H the entropy of the frequencies in nats: so many codes, used alike, would be
      as various. From 1 to the codebook's size.
    """

    counts: Float[Array, " codes"]
    perplexity: Scalar


def code_usage(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> CodeUsage:
    r"""Count how often the examples use each code of a `VQVAE`, over all places of all grids.

    $$\exp\left(-\sum_j f_j \log f_j\right), \qquad f_j = \text{count}_j / \sum_i \text{count}_i$$

    **Arguments:** `model`: a trained `VQVAE`; `xs`: `(n, ...)`, uint8 pixels or floats; `observe`, `progress`,
    `key`: as in `zoo.reconstruct`.

    **Raises:** `ValueError` for a model without a codebook.
    """
    if not isinstance(model, VQVAE):
        raise ValueError(f"`code_usage` needs a `VQVAE`, got a `{type(model).__name__}`, which has no codebook")
    index = draw_latents(model, xs, observe=observe, progress=progress, key=key).index
    counts = jnp.bincount(index.reshape(-1), length=len(model.codebook)).astype(model.codebook.dtype)
    frequency = counts / jnp.sum(counts)
    return CodeUsage(counts, jnp.exp(jnp.sum(jax.scipy.special.entr(frequency))))
