from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..models import AbstractVAE, HierarchicalVAE, draw_keys
from ..posteriors import draw_from
from ._alive import draws_alive
from ._checks import check_evaluation, check_finite, check_weights
from ._examples import map_examples


def kl_per_layer(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    k: int = 100,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, " n layers"]:
    r"""Measure how many nats each layer of a hierarchical model costs: a layer near zero is not used.

    $$E_{q(z \mid x)} [\log q(z_l \mid \cdot) - \log p(z_l \mid z_{l+1})]$$

    The terms add up to the whole KL divergence. Where inference runs upwards, a single term may be negative:
    its two densities do not share their condition.

    **Arguments:** `model`: a `HierarchicalVAE`; `xs`, `observe`, `progress`, `key`: as in `log_likelihood`; `k`:
    draws for each example.

    **Returns:** `(n, layers)`, the layer next to the data first.

    **Raises:** as `log_likelihood`; `ValueError` for a model without layers.

    Sønderby et al., "Ladder Variational Autoencoders", 2016, section 3.2.
    """
    if not isinstance(model, HierarchicalVAE):
        raise ValueError(
            f"`kl_per_layer` needs a `HierarchicalVAE`, got a `{type(model).__name__}`; use `active_units`"
        )
    check_evaluation("kl_per_layer", model, xs, None, k=k, observe=observe)
    check_weights("kl_per_layer", model)
    values = map_examples(
        eqx.Partial(_terms, k=k),
        model,
        xs,
        None,
        observe=observe,
        at_once=max(10 * draws_alive(model, None) // k, 1),
        per_call=1024,
        progress="layers" if progress else None,
        key=key,
    )
    return check_finite("kl_per_layer", values)


def _terms(model, x, *, k, key):
    posterior = model.posterior(x)

    def one(key):
        z, trail = draw_from(posterior, key=key)
        log_probs = posterior.log_probs(z) if trail is None else posterior.log_probs(z, trail)
        return log_probs - model.prior.log_probs(z)

    return jnp.mean(jax.vmap(one)(draw_keys(key, k)), axis=0)
