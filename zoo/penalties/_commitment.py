import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .._checks import Real, check_weight, is_number
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import posterior_of


def commitment(draws: Draws, *, weight: Real = 0.25, revival: Real = 0.0, key: PRNGKeyArray | None = None) -> Scalar:
    r"""What trains a `zoo.models.VQVAE`'s codebook, and makes its encoder keep to it.

    $\frac1n \sum_{x, i} \left[ \|\mathrm{sg}(e_i(x)) - c_i(x)\|^2
    + \beta \, \|e_i(x) - \mathrm{sg}(c_i(x))\|^2 \right]$

    over the n examples x of the batch and the places i of the grid, c being the code nearest to the encoding
    e, and sg what no gradient flows through. Codes that no encoding of the batch chose stay where they are.
    With `revival` each of them is pulled towards an encoding chosen at random, which adds to the penalty

    $\rho \sum_{j \text{ unused}} \|\mathrm{sg}(e_{r(j)}) - c_j\|^2$

    **Arguments:**

    - `draws`: the draws of a batch, whose posteriors are `zoo.posteriors.Quantised`.
    - `weight`: $\beta$.
    - `revival`: $\rho$; 0.1 to 1 brings unused codes back. Rare codes are pulled as well, so the batch should
        have more places than there are codes.
    - `key`: for the choice r of encodings.

    **Returns:**

    The penalty.

    **Raises:**

    `ValueError` for another kind of posterior, a negative weight, or a revival without a key.

    Van den Oord, Vinyals and Kavukcuoglu, 2017, [Neural discrete representation
    learning](https://arxiv.org/abs/1711.00937), equation (3), second and third term. The revival is after
    Zheng and Vedaldi, 2023, [Online clustered codebook](https://arxiv.org/abs/2307.15139), who keep
    running averages of each code's usage; here it is the batch's alone, and no state.
    """
    check_weight("commitment", "weight", weight)
    check_weight("commitment", "revival", revival)
    posteriors = posterior_of("commitment", draws)
    if getattr(posteriors, "codebook", None) is None:
        raise ValueError(
            f"`penalties.commitment` needs posteriors with a codebook, got a `{type(posteriors).__name__}`; "
            "it is for `zoo.models.VQVAE`"
        )
    # One codebook serves all examples.
    encoding, codebook, index = posteriors.encoding, posteriors.codebook[0], posteriors.index
    chosen = codebook[index]
    learned = jnp.sum((lax.stop_gradient(encoding) - chosen) ** 2)
    committed = jnp.sum((encoding - lax.stop_gradient(chosen)) ** 2)
    value = (learned + weight * committed) / len(index)
    if is_number(revival) and revival == 0:
        return value
    if key is None:
        raise ValueError(f"`commitment(revival={revival})` chooses encodings at random; pass a key")
    return value + revival * _distance_of_unused(codebook, encoding, index, key)


def _distance_of_unused(
    codebook: Float[Array, " codes size"],
    encoding: Float[Array, " batch *grid size"],
    index: Int[Array, " batch *grid"],
    key: PRNGKeyArray,
) -> Scalar:
    codes, size = codebook.shape
    unused = jnp.ones(codes, codebook.dtype).at[index.reshape(-1)].set(0)
    rows = jr.randint(key, (codes,), 0, index.size)
    target = lax.stop_gradient(encoding.reshape(-1, size)[rows])
    return jnp.sum(unused * jnp.sum((target - codebook) ** 2, axis=1))
