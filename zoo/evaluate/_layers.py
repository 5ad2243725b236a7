from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..models import HierarchicalVAE
from ..models._vae import draw_keys
from ._checks import check_evaluation, check_weights
from ._examples import over_examples


def kl_per_layer(
    model: HierarchicalVAE,
    xs: Array | np.ndarray,
    *,
    k: int = 100,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Float[Array, " n layers"]:
    r"""How many nats each layer of a hierarchical model costs: a layer near zero is not used.

    $$E_{q(z \mid x)} [\log q(z_l \mid \cdot) - \log p(z_l \mid z_{l+1})]$$

    The terms add up to the whole KL divergence. Where inference runs upwards, a single term may be negative:
    its two densities do not share their condition.

    **Arguments:** `model`, `xs`, `observe`, `progress`, `key`: as in `log_likelihood`; `k`: draws for each example.

    **Returns:** `(n, layers)`, the layer next to the data first.

    Sønderby et al., "Ladder Variational Autoencoders", 2016, section 3.2.
    """
    check_evaluation("kl_per_layer", model, xs, None, k=k, observe=observe)
    check_weights("kl_per_layer", model)
    function, bar = eqx.Partial(_terms, k=k), "layers" if progress else None
    return over_examples(function, model, xs, None, observe=observe, at_once=64, block=1024, progress=bar, key=key)


def _terms(model, x, *, k, key):
    posterior = model.posterior(x)

    def one(key):
        z = posterior.sample(key=key)
        return posterior.log_probs(z) - model.prior.log_probs(z)

    return jnp.mean(jax.vmap(one)(draw_keys(key, k)), axis=0)
