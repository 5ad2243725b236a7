import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._cb_cumulants import variance
from ._elementary import elementwise, log_parts, polynomial, table
from ._tables import SWITCH_ENTROPY


@jax.custom_jvp
def _entropy(logits: Array) -> Array:
    dtype = logits.dtype
    a = jnp.abs(logits)
    near = jnp.minimum(a, SWITCH_ENTROPY)
    u = near * near
    far = jnp.maximum(a, SWITCH_ENTROPY)
    e = jnp.exp(-far)
    high, low = log_parts(far)
    # log1p(-e) = -e * polynomial(e); a e / (1 - e) is what is left of a * mean
    rest = e * polynomial(table("LOG_COMPLEMENT", dtype), e) + far * (e / (1 - e))
    return jnp.where(a < SWITCH_ENTROPY, -u * polynomial(table("ENTROPY", dtype), u), (1 - high) - (low + rest))


@_entropy.defjvp
def _(primals, tangents):
    (logits,) = primals
    return _entropy(logits), -(logits * variance(logits)) * tangents[0]


@elementwise
def cb_entropy(logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Differential entropy of the continuous Bernoulli.

    $$H(\eta) = -E[\log p(x \mid \eta)] = A(\eta) - \eta A'(\eta) \le 0$$

    **Arguments:**

    - `logits`: $\eta$, as for [`cb_log_normalizer`][zoo.special.cb_log_normalizer].

    **Returns:**

    The entropy in nats, of the shape of `logits`. Zero at $\eta = 0$, where the distribution is uniform.
    """
    return _entropy(logits)
