from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._partitioned import partitioned


class HalfPrecision(eqx.Module):
    """A network that computes in bfloat16, for hardware that does so faster.

    Its weights stay float32: they are rounded at every call, and their gradients come back as float32, so that the
    optimiser's small steps are not lost. What goes in is rounded too; what comes out is float32 again, so posterior,
    prior and likelihood keep their precision. For a whole model:

        eqx.tree_at(lambda m: (m.encoder, m.decoder), model, replace_fn=zoo.nn.HalfPrecision)

    `benchmarks/gpu_time.py` measures what it does to the bound.

    **Arguments:** `network`: of float32 weights, from an array to an array. Not one with `BatchNorm`, whose moments
    need more than bfloat16's eight bits.

    Micikevicius et al., "Mixed precision training", 2018, section 3.1 (the float32 master copy).
    """

    network: Callable = eqx.field(converter=partitioned)

    def __call__(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        return jax.tree.map(_rounded, self.network)(_rounded(x)).astype(x.dtype)


def _rounded(leaf):
    return leaf.astype(jnp.bfloat16) if eqx.is_inexact_array(leaf) else leaf
