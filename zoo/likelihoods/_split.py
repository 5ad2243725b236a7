import jax.numpy as jnp
from jaxtyping import Array, Float


def split(params: Float[Array, " ..."], x: Array, channels: int, name: str) -> list[Float[Array, " ..."]]:
    """The groups stacked along the first axis of `params`, each of x's shape; and x in their dtype, last."""
    if x.ndim == 0:
        wanted = () if channels == 1 else (channels,)
    else:
        wanted = (channels * x.shape[0], *x.shape[1:])
    if params.shape != wanted:
        raise ValueError(
            f"`{name}` takes {channels} parameter(s) a dimension, stacked along the first axis: x of shape "
            f"{x.shape} needs parameters of shape {wanted}, got {params.shape}; let the decoder put out "
            "`likelihood.channels` numbers a dimension"
        )
    groups = params.reshape(channels, *x.shape)
    return [*(groups[i] for i in range(channels)), x.astype(params.dtype)]


def groups(params: Float[Array, " ..."], channels: int, name: str) -> list[Float[Array, " ..."]]:
    """The groups where there is no x to compare with: of shape (1,) if `params` has shape (channels,)."""
    if channels == 1:
        return [params]
    if params.ndim == 0 or params.shape[0] % channels:
        raise ValueError(
            f"`{name}` takes {channels} parameters a dimension, stacked along the first axis; the first axis "
            f"of parameters of shape {params.shape} is not a multiple of {channels}"
        )
    return jnp.split(params, channels)
