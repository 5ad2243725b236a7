import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jax.nn import log_softmax
from jaxtyping import PRNGKeyArray

from .._custom_types import Scalar
from ..nn import CausalTransformer
from ._code import AbstractCodePrior, Code, check_code_sizes


class Autoregressive(AbstractCodePrior):
    r"""A learned distribution over grids of codes: each one given those before it, row by row.

    $$\log p(z) = \sum_i \log p(z_i \mid z_1, \ldots, z_{i-1})$$

    The conditionals come from one causal transformer, so a density is one pass; a sample takes a pass for each
    place. It starts uniform. Train it with the model, or after it: `zoo.fit_prior(model, xs, prior=...)`.

    Van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning", 2017, section 3.3, who
    take a PixelCNN; attention, which sees all of a grid at once, as in Chen et al., "PixelSNAIL", 2018.
    """

    network: CausalTransformer
    grid_shape: tuple[int, ...] = eqx.field(static=True)
    num_codes: int = eqx.field(static=True)

    def __init__(
        self, grid_shape: tuple[int, ...], num_codes: int, *, width_size: int = 64, depth: int = 2, key: PRNGKeyArray
    ):
        """**Arguments:**

        - `grid_shape`: of the codes, `(height, width)`: a `VQVAE`'s is `zoo.nn.grid_shape` of its data's shape.
        - `num_codes`: how many codes there are, at least 2: the `VQVAE`'s `codebook_size`.
        - `width_size`, `depth`: features at each place, and blocks of attention and a hidden layer.
        - `key`: for the initial weights.

        **Raises:** `ValueError` for sizes below these.
        """
        check_code_sizes("Autoregressive", grid_shape, num_codes)
        self.network = CausalTransformer(math.prod(grid_shape), num_codes, width_size=width_size, depth=depth, key=key)
        self.grid_shape = grid_shape
        self.num_codes = num_codes

    def sample(self, *, key: PRNGKeyArray) -> Code:
        def one_more(i, index):
            logits = self.network.head(self.network.features(index)[i])
            return index.at[i].set(jr.categorical(jr.fold_in(key, i), logits))

        length = math.prod(self.grid_shape)
        index = lax.fori_loop(0, length, one_more, jnp.zeros(length, jnp.int32))
        return Code(index.reshape(self.grid_shape))

    def log_prob(self, z: Code) -> Scalar:
        if z.index.shape != self.grid_shape:
            raise ValueError(
                f"`Autoregressive(grid_shape={self.grid_shape})` got codes of shape {z.index.shape}; make it of that"
            )
        index = z.index.reshape(-1)
        return jnp.sum(jnp.take_along_axis(log_softmax(self.network(index)), index[:, None], axis=1))
