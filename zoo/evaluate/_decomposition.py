import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jax.nn import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._checks import check_counts
from ..models import AbstractVAE
from ._alive import draws_alive
from ._checks import check_evaluation, check_finite, check_weights
from ._estimate import Estimate, estimate_each
from ._examples import map_examples, map_rows
from ._parts import part_size


class ELBODecomposition(NamedTuple):
    r"""The parts of the ELBO, one value for each example, in nats.

    **Fields:**

    - `reconstruction`: $E_{q(z \mid x)} \log p(x \mid z)$.
    - `mutual_information`: $E [\log q(z \mid x) - \log q(z)]$; its mean is that between z and the example's number.
    - `total_correlation`: $E [\log q(z) - \sum_j \log q(z_j)]$.
    - `dimension_wise_kl`: $E [\sum_j \log q(z_j) - \log p(z)]$; the mean is $\sum_j KL(q(z_j) \,\|\, p(z_j))$ where
      the prior has independent dimensions.
    - `information_per_unit`: $E [\log q(z_j \mid x) - \log q(z_j)]$, `(n, units)`: near 0 for a unit that has
      collapsed, whatever the prior.
    """

    reconstruction: Float[Array, " n"]
    mutual_information: Float[Array, " n"]
    total_correlation: Float[Array, " n"]
    dimension_wise_kl: Float[Array, " n"]
    information_per_unit: Float[Array, " n units"]

    @property
    def marginal_kl(self) -> Float[Array, " n"]:
        r"""$E [\log q(z) - \log p(z)]$; the mean is $KL(q(z) \,\|\, p(z))$."""
        return self.total_correlation + self.dimension_wise_kl

    @property
    def kl(self) -> Float[Array, " n"]:
        r"""$KL(q(z \mid x) \,\|\, p(z))$, the sum of its parts."""
        return self.mutual_information + self.marginal_kl

    @property
    def elbo(self) -> Float[Array, " n"]:
        """The reconstruction minus the divergence."""
        return self.reconstruction - self.kl

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The mean over the examples of every part, with its standard error given q(z)."""
        names = ("elbo", "reconstruction", "kl", "mutual_information", "marginal_kl", "total_correlation")
        return estimate_each(self, (*names, "dimension_wise_kl"))


def elbo_decomposition(
    model: AbstractVAE,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    k: int = 10,
    components: int = 10_000,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> ELBODecomposition:
    r"""Take the ELBO apart: what the reconstruction is worth, and what the divergence from the prior is spent on.

    $$E_x \, KL(q(z \mid x) \,\|\, p(z)) = I(x; z) + KL\left(q(z) \,\Big\|\, \prod_j q(z_j)\right)
      + \sum_j KL(q(z_j) \,\|\, p(z_j)), \qquad q(z) = \tfrac1n \sum_m q(z \mid x_m)$$

    The last two terms are the marginal KL divergence, $KL(q(z) \,\|\, p(z))$. Up to `components` examples, q(z) is
    exactly the mixture of all their posteriors. Of more, so many are drawn, and a draw from $q(z \mid x_i)$ has

    $$q(z) \approx \tfrac1n q(z \mid x_i) + \tfrac{n-1}{n} \, \mathrm{mean}_{m \neq i} \, q(z \mid x_m)$$

    over those, which is unbiased; its logarithm lies below $\log q(z)$ on average, so the mutual information comes
    out too large, and the more so the fewer the components. It is never more than $\log n$.

    **Arguments:**

    - `k`: draws for each example.
    - `components`: the posteriors that make up q(z), at least 2.
    - the others as in `log_likelihood`.

    **Returns:** `ELBODecomposition`: one value of every part for each example; `.estimates` has their means.

    **Raises:** as `log_likelihood`; `ValueError` for fewer than 2 examples or components, and for posteriors whose
    dimensions are not independent.

    Hoffman & Johnson, "ELBO surgery", 2016, equation 7; Chen et al., "Isolating sources of disentanglement in
    variational autoencoders", 2018, equation 2 and appendix C.2.
    """
    check_evaluation("elbo_decomposition", model, xs, ys, k=k, observe=observe)
    check_weights("elbo_decomposition", model)
    check_counts("elbo_decomposition", components=components, at_least=2)
    n = len(xs)
    if n < 2:
        raise ValueError(f"`elbo_decomposition` needs at least 2 examples for q(z) to mix, got {n}; pass more")
    draws_key, mixture_key = jr.split(key)
    alive = draws_alive(model, ys)
    draws = map_examples(
        eqx.Partial(_draw, k=k),
        model,
        xs,
        ys,
        observe=observe,
        at_once=max(alive // k, 1),
        per_call=max(10 * alive // k, 1),
        progress="draws" if progress else None,
        key=draws_key,
    )
    check_finite("elbo_decomposition", draws.reconstruction)
    few = np.arange(n) if n <= components else np.asarray(jr.choice(mixture_key, n, (components,), replace=False))
    few = few.astype(np.uint32)
    chunk = max(2**18 // draws.z[0].size, 1)
    mixture = _Mixture(jax.tree.map(lambda leaf: leaf[few], draws.posterior), jnp.asarray(few), n)
    rows = (draws, np.arange(n, dtype=np.uint32))
    take_apart = eqx.Partial(_take_apart, mixture, part_size(len(few), chunk))
    return map_rows(take_apart, rows, at_once=1, per_call=256, progress="aggregate" if progress else None)


class _Drawn(NamedTuple):
    posterior: Any
    z: Float[Array, " k units"]
    reconstruction: Array
    log_prior: Array


class _Mixture(eqx.Module):
    posteriors: Any
    places: Array  # of the components among the examples
    n: int


def _draw(model, x, *, k, key):
    draws = model.draw(x, k=k, key=key)
    posterior, z = draws.posterior, draws.z
    shapes = {leaf.shape for leaf in jax.tree.leaves(eqx.filter(posterior, eqx.is_array))}
    if posterior is None or not isinstance(z, jax.Array) or z.ndim != 2 or shapes != {z.shape[1:]}:
        raise ValueError(
            f"`elbo_decomposition` needs a posterior with independent dimensions, such as `posteriors.DiagonalNormal` "
            f"or `posteriors.Laplace`, got a `{type(model.posterior(x)).__name__}`; `bound` has the whole ELBO"
        )
    draws.log_weight  # refuses a posterior without a density
    return _Drawn(posterior, z, jnp.mean(draws.log_likelihood), draws.log_prior)


def _per_unit(posterior: PyTree, z: Float[Array, " units"]) -> Float[Array, " units"]:
    """Compute log q(z_j | x) of every unit: the density of the same family with the j-th parameters."""
    parameters, rest = eqx.partition(posterior, eqx.is_array)

    def one(parameters, z):
        return eqx.combine(jax.tree.map(lambda leaf: leaf[None], parameters), rest).log_prob(z[None])

    return jax.vmap(one)(parameters, z)


def _take_apart(mixture, chunk, row):
    drawn, i = row
    own = jax.vmap(_per_unit, in_axes=(None, 0))(drawn.posterior, drawn.z)
    n, size = mixture.n, mixture.places.size
    others = size - jnp.any(mixture.places == i).astype(jnp.int32)
    log_other = jnp.log((n - 1) / n / others.astype(own.dtype))

    def body(c, running):
        index = c * chunk + jnp.arange(chunk, dtype=jnp.int32)
        place = jnp.minimum(index, size - 1)
        posteriors = jax.tree.map(lambda leaf: leaf[place] if eqx.is_array(leaf) else leaf, mixture.posteriors)
        densities = jax.vmap(jax.vmap(_per_unit, in_axes=(None, 0)), in_axes=(0, None))(posteriors, drawn.z)
        counts = (index < size) & (mixture.places[place] != i)
        densities = jnp.concatenate([jnp.sum(densities, axis=2, keepdims=True), densities], axis=2)
        log_sum = logsumexp(jnp.where(counts[:, None, None], densities + log_other, -jnp.inf), axis=0)
        return jnp.logaddexp(running, log_sum)

    # The first column is the joint density, the others are those of the units.
    first = jnp.concatenate([jnp.sum(own, axis=1, keepdims=True), own], axis=1)
    aggregate = lax.fori_loop(0, -(-size // chunk), body, first - math.log(n))
    joint, marginals = aggregate[:, 0], aggregate[:, 1:]
    product = jnp.sum(marginals, axis=1)
    return ELBODecomposition(
        reconstruction=drawn.reconstruction,
        mutual_information=jnp.mean(first[:, 0] - joint),
        total_correlation=jnp.mean(joint - product),
        dimension_wise_kl=jnp.mean(product - drawn.log_prior),
        information_per_unit=jnp.mean(own - marginals, axis=0),
    )
