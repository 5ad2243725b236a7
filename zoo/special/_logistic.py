import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._elementary import elementwise, log1p


@jax.custom_jvp
def _sigmoid(logits: Array) -> Array:
    e = jnp.exp(-jnp.abs(logits))
    return jnp.where(logits < 0, e, 1.0) / (1 + e)


@_sigmoid.defjvp
def _(primals, tangents):
    (logits,) = primals
    return _sigmoid(logits), _sigmoid(logits) * _sigmoid(-logits) * tangents[0]


@jax.custom_jvp
def _softplus(logits: Array) -> Array:
    return jnp.maximum(logits, 0.0) + log1p(jnp.exp(-jnp.abs(logits)))


@_softplus.defjvp
def _(primals, tangents):
    return _softplus(*primals), _sigmoid(*primals) * tangents[0]


@jax.custom_jvp
def _bernoulli_log_prob(x: Array, logits: Array) -> Array:
    # reflected for eta > 0, as in the continuous Bernoulli: x = 1 then meets no cancellation
    base = jnp.where(logits > 0, 1.0, 0.0)
    return (x - base) * logits - log1p(jnp.exp(-jnp.abs(logits)))


@_bernoulli_log_prob.defjvp
def _(primals, tangents):
    x, logits = primals
    score = jnp.where(logits > 0, _sigmoid(-logits) - (1 - x), x - _sigmoid(logits))
    return _bernoulli_log_prob(x, logits), logits * tangents[0] + score * tangents[1]


@elementwise
def sigmoid(logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""The logistic function $1/(1 + e^{-\eta})$, with full relative precision in both tails.

    **Arguments:** `logits`, of any shape. **Returns:** values in [0, 1], of that shape.
    """
    return _sigmoid(logits)


@elementwise
def softplus(logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""$\log(1 + e^\eta)$, whose derivative is [`sigmoid`][zoo.special.sigmoid].

    **Arguments:** `logits`, of any shape. **Returns:** values above 0, of that shape.
    """
    return _softplus(logits)


@elementwise
def bernoulli_log_prob(x: Float[Array, " *shape"], logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Log-probability of the Bernoulli per dimension, $x \eta - \log(1 + e^\eta)$, for x in [0, 1].

    **Arguments:** `x`, values in [0, 1]; `logits`, $\eta$. **Returns:** nats, of the common shape.
    """
    return _bernoulli_log_prob(x, logits)
