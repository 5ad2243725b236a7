from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ..evaluate import draw_latents
from ..models import AbstractVAE
from ..priors import MixtureOfNormals


Model = TypeVar("Model", bound=AbstractVAE)


def fit_prior(
    model: Model,
    xs: Array | np.ndarray,
    *,
    components: int = 64,
    iterations: int = 100,
    observe: Callable | None = None,
    key: PRNGKeyArray,
) -> Model:
    r"""The model with its prior replaced by a mixture of normals fitted to the aggregated posterior.

    Expectation-maximisation climbs $E_{x} E_{q(z \mid x)} \log p(z)$, the prior's whole part in the ELBO, and
    leaves encoder and decoder alone: the ELBO of the examples can only gain, and what is drawn from the new
    prior lies where the decoder was trained.

    **Arguments:**

    - `model`: a trained model with one vector of latents, frozen if it has `BatchNorm`.
    - `xs`: the training data, `(n, ...)`, at least as many as `components`.
    - `components`: normals in the mixture.
    - `iterations`: of expectation-maximisation.
    - `observe`: as in `zoo.fit`.
    - `key`: for one draw of z for each example, and for the start.

    **Raises:** `ValueError` for fewer examples than components.

    Ghosh et al., "From variational to deterministic autoencoders", 2020, section 4 (ex-post density
    estimation); Hoffman & Johnson, "ELBO surgery", 2016, for what it gains.
    """
    if not 1 <= components <= len(xs):
        raise ValueError(f"`fit_prior(components={components})`: pass 1 to {len(xs)}, the number of examples")
    draw_key, start_key = jr.split(key)
    zs = draw_latents(model, xs, observe=observe, key=draw_key)
    prior = MixtureOfNormals(zs.shape[1], components, key=start_key)
    chosen = jr.permutation(start_key, len(zs))[:components]
    spread = jnp.broadcast_to(jnp.log(jnp.std(zs, axis=0)), (components, zs.shape[1]))
    start = eqx.tree_at(lambda p: (p.mean, p.log_scale), prior, (zs[chosen], spread))
    return eqx.tree_at(lambda m: m.prior, model, _climb(start, zs, iterations))


@eqx.filter_jit
def _climb(prior: MixtureOfNormals, zs: Float[Array, " n latent"], iterations: int) -> MixtureOfNormals:
    floor = 1e-4 * jnp.var(zs, axis=0)

    def step(_, prior):
        shares = jax.nn.softmax(jax.vmap(prior.log_components)(zs), axis=1)
        weight = jnp.sum(shares, axis=0)
        safe = jnp.maximum(weight, 1e-6)[:, None]
        mean = shares.T @ zs / safe
        deviation = zs[:, None] - mean[None]
        variance = jnp.einsum("nc,ncj->cj", shares, deviation**2) / safe + floor[None]
        values = (jnp.log(safe[:, 0]), mean, 0.5 * jnp.log(variance))
        return eqx.tree_at(lambda p: (p.logits, p.mean, p.log_scale), prior, values)

    return lax.fori_loop(0, iterations, step, prior)
