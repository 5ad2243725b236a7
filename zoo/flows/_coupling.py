import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..nn import Linear, zeroed
from ._bijection import AbstractBijection, Vector
from ._scale import soft_clip


class Coupling(AbstractBijection):
    r"""An affine coupling: the second half is shifted and scaled as the first half says. One pass either way.

    $$y_a = z_a, \qquad y_b = z_b \odot e^{s(z_a)} + t(z_a), \qquad \log |\det| = \sum_j s_j(z_a)$$

    s and t come from one network with two hidden layers of `tanh`, whose last layer starts at 0, and the
    bijection therefore at the identity. s is softly held between -3 and 3.

    Dinh, Sohl-Dickstein & Bengio, "Density estimation using Real NVP", 2017, equations 7 and 8.
    """

    layers: tuple[Linear, Linear, Linear]
    kept: int = eqx.field(static=True)

    def __init__(self, latent_size: int, *, width_size: int = 32, key: PRNGKeyArray):
        """**Arguments:** `latent_size`: at least 2; `width_size`: hidden units in each of the two layers.

        **Raises:** `ValueError` for sizes below that.
        """
        check_counts("Coupling", at_least=2, latent_size=latent_size)
        check_counts("Coupling", width_size=width_size)
        key1, key2, key3 = jr.split(key, 3)
        self.kept = latent_size // 2
        last = zeroed(Linear(width_size, 2 * (latent_size - self.kept), key=key3))
        self.layers = (Linear(self.kept, width_size, key=key1), Linear(width_size, width_size, key=key2), last)

    def _shift_and_log_scale(self, kept: Float[Array, " kept"]) -> tuple[Float[Array, " rest"], Float[Array, " rest"]]:
        first, second, last = self.layers
        shift, log_scale = jnp.split(last(jnp.tanh(second(jnp.tanh(first(kept))))), 2)
        return shift, soft_clip(log_scale)

    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        kept, rest = jnp.split(z, (self.kept,))
        shift, log_scale = self._shift_and_log_scale(kept)
        return jnp.concatenate([kept, rest * jnp.exp(log_scale) + shift]), jnp.sum(log_scale)

    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        kept, rest = jnp.split(y, (self.kept,))
        shift, log_scale = self._shift_and_log_scale(kept)
        return jnp.concatenate([kept, (rest - shift) * jnp.exp(-log_scale)]), -jnp.sum(log_scale)
