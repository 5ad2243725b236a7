from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from .._draws import Draws


def latents(call: str, draws: Draws) -> Float[Array, " batch k latent"]:
    """The latents of a batch of at least two, as vectors."""
    if not isinstance(draws.z, jax.Array):
        raise ValueError(
            f"`penalties.{call}` needs latents that are one array a draw, got a "
            f"`{type(draws.z).__name__}` of arrays; pass draws whose `z` is the level to be penalised"
        )
    batch, k = draws.log_likelihood.shape
    if batch < 2:
        raise ValueError(
            f"`penalties.{call}` compares the examples of a batch, got a batch of {batch}; "
            "pass a batch_size >= 2, or leave the penalty out"
        )
    return draws.z.reshape(batch, k, -1)


def posterior_of(call: str, draws: Draws) -> Any:
    """The batch's posteriors."""
    if draws.posterior is None:
        raise ValueError(f"`penalties.{call}` needs `draws.posterior`, which is None; pass the batch's posteriors")
    return draws.posterior


def posterior_means(call: str, draws: Draws) -> Float[Array, " batch latent"]:
    means = eqx.filter_vmap(lambda posterior: posterior.mean)(posterior_of(call, draws))
    return means.reshape(means.shape[0], -1)


def log_densities(call: str, draws: Draws) -> Float[Array, " batch k batch latent"]:
    r"""$\log q(z_{nsj} \mid x_m)$: dimension j of draw s of example n, under the posterior of example m.

    The posterior must be a product over dimensions, each of its parameters a vector of the latents' size:
    dimension j is then the same family with the j-th parameters.
    """
    posteriors = posterior_of(call, draws)
    zs = latents(call, draws)
    parameters, rest = eqx.partition(posteriors, eqx.is_array)
    shapes = {leaf.shape[1:] for leaf in jax.tree.leaves(parameters)}
    if draws.z.ndim != 3 or shapes != {(zs.shape[2],)} or not posteriors.traits.has_density:
        raise ValueError(
            f"`penalties.{call}` needs a posterior density with independent dimensions, whose parameters have the "
            f"latent's shape {draws.z.shape[2:]}, got a `{type(posteriors).__name__}` with parameters of "
            f"shapes {sorted(shapes)}; use `posteriors.DiagonalNormal`, or a penalty on draws, such as `mmd`"
        )

    def one(parameters, z):
        marginal = eqx.combine(jax.tree.map(lambda leaf: leaf[None], parameters), rest)
        return marginal.log_prob(z[None])

    over_latent = jax.vmap(one)
    over_posteriors = jax.vmap(over_latent, in_axes=(0, None))
    return jax.vmap(jax.vmap(over_posteriors, in_axes=(None, 0)), in_axes=(None, 0))(parameters, zs)
