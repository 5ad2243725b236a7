import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import log_densities


Sampling = Callable[[int, int], Float[Array, " batch batch"]]


def minibatch_stratified(batch_size: int, dataset_size: int) -> Float[Array, " batch batch"]:
    r"""Log-weights of minibatch-stratified sampling, with which a batch estimates q(z) without bias.

    $q(z) \approx \frac{1}{N} q(z \mid x_*) + \frac{N - 1}{N M} \sum_{m=1}^{M} q(z \mid x_m)$

    Here z came from $x_*$, and $M = B - 1$ others are in the batch. The paper gives one of those M, whichever
    comes last, the weight (N - M) / (N M), and the others 1 / M. This is its mean over the order of
    the batch: it has the same mean and less variance, and is exact where the batch is the data set.

    **Arguments:**

    - `batch_size`: B, at least 2.
    - `dataset_size`: N, at least B.

    **Returns:**

    Log-weights: row n for the draws of example n, column m for the posterior of example m.

    Chen et al., 2018, [Isolating sources of disentanglement in variational
    autoencoders](https://arxiv.org/abs/1802.04942), appendix C.2.
    """
    own = -math.log(dataset_size)
    other = math.log((dataset_size - 1) / (dataset_size * (batch_size - 1)))
    return jnp.where(jnp.eye(batch_size, dtype=bool), own, other)


def minibatch_weighted(batch_size: int, dataset_size: int) -> Float[Array, " batch batch"]:
    r"""Log-weights of minibatch-weighted sampling: all are $-\log(N B)$.

    $\log q(z) \approx \log \frac{1}{N B} \sum_{m=1}^{B} q(z \mid x_m)$

    Its mean lies below log q(z), by up to log N; for the large weight that an example's own posterior
    gets it is less noisy than `minibatch_stratified`. The constants are kept.

    **Arguments:** `batch_size`, `dataset_size`, and the result too, as in `minibatch_stratified`.

    Chen et al., 2018, [Isolating sources of disentanglement in variational
    autoencoders](https://arxiv.org/abs/1802.04942), equation (5) and appendix C.1.
    """
    return jnp.full((batch_size, batch_size), -math.log(dataset_size * batch_size))


class KLDecomposition(NamedTuple):
    r"""Three parts, in nats, whose sum is the mean of $\log q(z \mid x) - \log p(z)$.

    **Fields:**

    - `mutual_information`: of example and latent, the mean of $\log q(z \mid x) - \log q(z)$.
    - `total_correlation`: of the latent's dimensions, the mean of $\log q(z) - \sum_j \log q(z_j)$.
    - `dimension_wise_kl`: the mean of $\sum_j \log q(z_j) - \log p(z)$.
    """

    mutual_information: Scalar
    total_correlation: Scalar
    dimension_wise_kl: Scalar


def total_correlation(
    draws: Draws,
    *,
    dataset_size: int,
    sampling: Sampling = minibatch_stratified,
    weight: Real = 1.0,
    key: PRNGKeyArray | None = None,
) -> Scalar:
    r"""How far the aggregated posterior is from having independent dimensions.

    $\lambda \, KL\left(q(z) \,\Big\|\, \prod_j q(z_j)\right)$ with $q(z) = \frac{1}{N} \sum_n q(z \mid x_n)$

    Added to minus `zoo.objectives.elbo` with weight $\beta - 1$, it is the beta-TC-VAE.

    **Arguments:**

    - `draws`: the draws of a batch, of a posterior with independent dimensions.
    - `dataset_size`: N, the number of training examples.
    - `sampling`: `minibatch_stratified` or `minibatch_weighted`.
    - `weight`: $\lambda$.
    - `key`: not used.

    **Returns:**

    The penalty, nats. It is an estimate, and may be negative.

    **Raises:**

    `ValueError` for a batch of one, a `dataset_size` smaller than the batch, or another posterior.

    Chen et al., 2018, [Isolating sources of disentanglement in variational
    autoencoders](https://arxiv.org/abs/1802.04942), equations (2) and (4).
    """
    check_weight("total_correlation", "weight", weight)
    _, log_joint, log_marginals = _aggregated("total_correlation", draws, dataset_size, sampling)
    return weight * jnp.mean(log_joint - jnp.sum(log_marginals, -1))


def kl_decomposition(
    draws: Draws, *, dataset_size: int | None = None, sampling: Sampling = minibatch_stratified
) -> KLDecomposition:
    r"""The divergence of posteriors from the prior, taken apart.

    $E_n \, KL(q(z \mid x_n) \,\|\, p(z)) = I_q(z; n) + KL\left(q(z) \,\Big\|\, \prod_j q(z_j)\right)
    + \sum_j KL(q(z_j) \,\|\, p(z_j))$

    **Arguments:**

    - `draws`: the draws of a batch, of a posterior with independent dimensions; the last part is a
        dimension-wise divergence if the prior has independent dimensions too.
    - `dataset_size`: N. By default the batch is the data set, and q(z) the mixture of its posteriors.
    - `sampling`: as in `total_correlation`.

    **Returns:**

    `KLDecomposition(mutual_information, total_correlation, dimension_wise_kl)`, nats: Monte Carlo over the
    draws, their sum being exactly the draws' mean of log q(z | x) - log p(z).

    **Raises:**

    As `total_correlation`.

    Chen et al., 2018, [Isolating sources of disentanglement in variational
    autoencoders](https://arxiv.org/abs/1802.04942), equation (2).
    """
    size = draws.log_likelihood.shape[0] if dataset_size is None else dataset_size
    log_own, log_joint, log_marginals = _aggregated("kl_decomposition", draws, size, sampling)
    log_product = jnp.sum(log_marginals, -1)
    return KLDecomposition(
        mutual_information=jnp.mean(log_own - log_joint),
        total_correlation=jnp.mean(log_joint - log_product),
        dimension_wise_kl=jnp.mean(log_product - draws.log_prior),
    )


def _aggregated(
    call: str, draws: Draws, dataset_size: int, sampling: Sampling
) -> tuple[Float[Array, " batch k"], Float[Array, " batch k"], Float[Array, " batch k latent"]]:
    """For every draw log q(z | x), log q(z), and log q(z_j) of its dimensions."""
    densities = log_densities(call, draws)
    batch = densities.shape[0]
    if dataset_size < batch:
        raise ValueError(
            f"`penalties.{call}(dataset_size={dataset_size})` is smaller than the batch of {batch}; "
            "pass the number of training examples"
        )
    log_weights = sampling(batch, dataset_size).astype(densities.dtype)[:, None, :]
    joint = jnp.sum(densities, -1)
    own = jnp.moveaxis(jnp.diagonal(joint, axis1=0, axis2=2), -1, 0)
    log_joint = logsumexp(log_weights + joint, axis=2)
    log_marginals = logsumexp(log_weights[..., None] + densities, axis=2)
    return own, log_joint, log_marginals
