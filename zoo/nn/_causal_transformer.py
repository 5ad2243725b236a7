import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._checks import check_counts
from ._layers import Linear, zeroed


class CausalTransformer(eqx.Module):
    """What follows in a sequence of classes: the logits of place i depend on the entries before i alone.

    Vaswani et al., "Attention is all you need", 2017, with the normalisation before each layer, without gains.
    The last layer starts at 0: all classes alike.
    """

    embedding: Float[Array, " classes width"]
    positions: Float[Array, " length width"]
    blocks: tuple["CausalBlock", ...]
    head: Linear

    def __init__(self, length: int, num_classes: int, *, width_size: int = 64, depth: int = 2, key: PRNGKeyArray):
        """**Arguments:** `length` of the sequence; `num_classes` of each entry; `width_size`: features at each place,
        at least 1, of which a head of attention takes 32 if they divide by it, else all; `depth`: blocks, at least 1.

        **Raises:** `ValueError` for sizes below 1.
        """
        check_counts("CausalTransformer", length=length, num_classes=num_classes, width_size=width_size, depth=depth)
        embedding_key, position_key, *keys = jr.split(key, 2 + depth)
        self.embedding = jr.normal(embedding_key, (num_classes, width_size))
        self.positions = jr.normal(position_key, (length, width_size))
        self.blocks = tuple(CausalBlock(width_size, key=key) for key in keys)
        self.head = zeroed(Linear(width_size, num_classes, key=key))

    def features(self, sequence: Int[Array, " length"]) -> Float[Array, " length width"]:
        """What each place knows of those before it."""
        before = self.embedding[sequence[:-1]]
        x = jnp.concatenate([jnp.zeros_like(self.positions[:1]), before]) + self.positions
        for block in self.blocks:
            x = block(x)
        return _standardised(x)

    def __call__(self, sequence: Int[Array, " length"]) -> Float[Array, " length classes"]:
        return jax.vmap(self.head)(self.features(sequence))


class CausalBlock(eqx.Module):
    """Attention to the places up to one's own, then a hidden layer at each place; both are added to the input."""

    projections: Linear
    mixed: Linear
    hidden: Linear
    last: Linear
    head_size: int = eqx.field(static=True)

    def __init__(self, width_size: int, *, key: PRNGKeyArray):
        keys = jr.split(key, 4)
        self.projections = Linear(width_size, 3 * width_size, key=keys[0])
        self.mixed = Linear(width_size, width_size, key=keys[1])
        self.hidden = Linear(width_size, 4 * width_size, key=keys[2])
        self.last = Linear(4 * width_size, width_size, key=keys[3])
        self.head_size = 32 if width_size % 32 == 0 else width_size

    def __call__(self, x: Float[Array, " length width"]) -> Float[Array, " length width"]:
        length, width = x.shape
        projections = jax.vmap(self.projections)(_standardised(x))
        query, key, value = jnp.split(projections.reshape(length, -1, self.head_size), 3, axis=1)
        attended = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        x = x + jax.vmap(self.mixed)(attended.reshape(length, width))
        return x + jax.vmap(lambda row: self.last(jax.nn.gelu(self.hidden(row))))(_standardised(x))


def _standardised(x: Float[Array, " length width"]) -> Float[Array, " length width"]:
    centred = x - jnp.mean(x, axis=1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, axis=1, keepdims=True) + 1e-5)
