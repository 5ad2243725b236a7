import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from .._custom_types import Scalar
from ._code import AbstractCodePrior, Code, check_code_sizes


class UniformCodes(AbstractCodePrior):
    r"""Every grid of codes alike.

    $$\log p(z) = -n \log K$$

    for n places and K codes. Van den Oord, Vinyals & Kavukcuoglu, "Neural discrete representation learning",
    2017, section 3.1.
    """

    grid_shape: tuple[int, ...] = eqx.field(static=True)
    num_codes: int = eqx.field(static=True)

    def __init__(self, grid_shape: tuple[int, ...], num_codes: int):
        """**Arguments:** `grid_shape`: of the codes, `(height, width)`; `num_codes`: K, at least 2.

        **Raises:** `ValueError` for sizes below these.
        """
        check_code_sizes("UniformCodes", grid_shape, num_codes)
        self.grid_shape = grid_shape
        self.num_codes = num_codes

    def sample(self, *, key: PRNGKeyArray) -> Code:
        return Code(jr.randint(key, self.grid_shape, 0, self.num_codes))

    def log_prob(self, z: Code) -> Scalar:
        return jnp.full((), -math.prod(self.grid_shape) * math.log(self.num_codes))
