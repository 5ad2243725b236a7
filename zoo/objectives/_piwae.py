import dataclasses

import jax
import jax.numpy as jnp

from .._custom_types import Scalar
from .._draws import Draws
from ._iwae import iwae, miwae


def piwae(draws: Draws, *, m: int) -> Scalar:
    r"""Two bounds for two networks: the generative model climbs IWAE's, the posterior MIWAE's.

    Its value is `zoo.objectives.iwae`, of all k draws. The decoder and the prior have that bound's gradient;
    the posterior has the gradient of `zoo.objectives.miwae` with m groups, whose signal drowns less in
    noise. The estimator decides how the latter goes through z, as for every objective.

    **Arguments:**

    - `draws`: the k draws of one example, as an estimator hands them over. On draws that no estimator
        made there is no telling the two networks apart, and only the value is right.
    - `m`: the number of groups, a divisor of k. `m=1` is `zoo.objectives.iwae`.

    **Returns:**

    The bound on $\log p(x)$, nats.

    **Raises:**

    `ValueError` if m does not divide k.

    Rainforth et al., 2018, [Tighter variational bounds are not necessarily
    better](https://arxiv.org/abs/1802.04537), section 5, PIWAE.
    """
    fixed = draws.fixed()
    model = dataclasses.replace(fixed, log_posterior=jax.lax.stop_gradient(fixed.log_posterior))
    # MIWAE's gradient less its part that goes to the model: what remains is the posterior's.
    posterior = miwae(draws, m=m) - miwae(model, m=m)
    # Where a group has no weight at all it is infinity less infinity, and says nothing.
    posterior = jnp.where(jnp.isfinite(posterior), posterior, 0)
    return iwae(model) + (posterior - jax.lax.stop_gradient(posterior))
