import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import PRNGKeyArray

from .._checks import check_counts
from .._custom_types import Scalar
from ..nn import Linear, zeroed
from ._bijection import AbstractBijection, Vector
from ._scale import soft_clip


class MaskedAutoregressive(AbstractBijection):
    r"""Each dimension is shifted and scaled as the dimensions before it say, by one masked network.

    $$y_i = z_i e^{s_i(z_{<i})} + t_i(z_{<i}), \qquad \log |\det| = \sum_i s_i(z_{<i})$$

    `forward` is one pass: this is the inverse autoregressive flow, for what is sampled from. `inverse` goes
    through the dimensions one after the other, `latent_size` passes, forwards and in the gradient; for what
    is to be scored, wrap it in `Inverse`, which makes it the masked autoregressive flow. Two hidden layers of
    `tanh`; the last layer starts at 0, the bijection at the identity. s is softly held between -3 and 3.

    Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016, section 3;
    Papamakarios, Pavlakou & Murray, "Masked autoregressive flow for density estimation", 2017, equation 4;
    masks of Germain et al., "MADE", 2015, equations 12 and 13, with evenly spread numbers in place of random
    ones.
    """

    layers: tuple[Linear, Linear, Linear]

    def __init__(self, latent_size: int, *, width_size: int = 32, key: PRNGKeyArray):
        """**Arguments:** `latent_size`: at least 1; `width_size`: hidden units in each of the two layers.

        **Raises:** `ValueError` for sizes below 1.
        """
        check_counts("MaskedAutoregressive", latent_size=latent_size, width_size=width_size)
        key1, key2, key3 = jr.split(key, 3)
        last = zeroed(Linear(width_size, 2 * latent_size, key=key3))
        self.layers = (Linear(latent_size, width_size, key=key1), Linear(width_size, width_size, key=key2), last)

    def _shift_and_log_scale(self, z: Vector) -> tuple[Vector, Vector]:
        """t and s; entry i depends on the entries of z before i."""
        for i, (layer, mask) in enumerate(zip(self.layers, _masks(z.size, self.layers[0].bias.size), strict=True)):
            z = (jnp.tanh(z) if i else z) @ (layer.weight * mask.astype(layer.weight.dtype)) + layer.bias
        shift, log_scale = jnp.split(z, 2)
        return shift, soft_clip(log_scale)

    def forward(self, z: Vector) -> tuple[Vector, Scalar]:
        shift, log_scale = self._shift_and_log_scale(z)
        return z * jnp.exp(log_scale) + shift, jnp.sum(log_scale)

    def inverse(self, y: Vector) -> tuple[Vector, Scalar]:
        def one_more(_, z):
            # What was right before dimension i is right up to i afterwards.
            shift, log_scale = self._shift_and_log_scale(z)
            return (y - shift) * jnp.exp(-log_scale)

        z = lax.fori_loop(0, y.size, one_more, jnp.zeros_like(y))
        return z, -jnp.sum(self._shift_and_log_scale(z)[1])


def _masks(latent_size: int, width_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which weights stay: a hidden unit of number m sees inputs 1 to m, and is seen by outputs above m."""
    inputs = np.arange(1, latent_size + 1)
    hidden = np.round(np.linspace(1, max(1, latent_size - 1), width_size))
    outputs = np.tile(inputs, 2)
    seen = (
        inputs[:, None] <= hidden[None],
        hidden[:, None] <= hidden[None],
        hidden[:, None] < outputs[None],
    )
    return seen
