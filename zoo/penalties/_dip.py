import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import latents, posterior_means, posterior_of


def dip_i(
    draws: Draws, *, off_diagonal: Real = 10.0, diagonal: Real = 100.0, key: PRNGKeyArray | None = None
) -> Scalar:
    r"""The distance of the posterior means' covariance from the identity.

    $\lambda_{od} \sum_{i \ne j} C_{ij}^2 + \lambda_d \sum_i (C_{ii} - 1)^2$ with $C = Cov_x[\mu(x)]$,
    the covariance within the batch (divided by its size)

    **Arguments:**

    - `draws`: the draws of a batch; only the posteriors' means matter.
    - `off_diagonal`: $\lambda_{od}$.
    - `diagonal`: $\lambda_d$; the paper takes ten times $\lambda_{od}$ here.
    - `key`: not used.

    **Returns:**

    The penalty.

    **Raises:**

    `ValueError` for a batch of one or a negative weight.

    Kumar, Sattigeri and Balakrishnan, 2018, [Variational inference of disentangled latent concepts from
    unlabeled observations](https://arxiv.org/abs/1711.00848), equation (6).
    """
    latents("dip_i", draws)
    return _distance("dip_i", _covariance(posterior_means("dip_i", draws)), off_diagonal, diagonal)


def dip_ii(
    draws: Draws, *, off_diagonal: Real = 10.0, diagonal: Real = 10.0, key: PRNGKeyArray | None = None
) -> Scalar:
    r"""The distance of the aggregated posterior's covariance from the identity.

    The penalty of `dip_i` on $C = E_x[\Sigma(x)] + Cov_x[\mu(x)]$, the covariance of q(z).

    **Arguments:**

    - `draws`: the draws of a batch, of a posterior with the fields `mean` and `log_scale` of
        `zoo.posteriors.DiagonalNormal`; the draws themselves do not matter.
    - `off_diagonal`, `diagonal`: $\lambda_{od}$ and $\lambda_d$, equal in the paper.
    - `key`: not used.

    **Returns:**

    The penalty.

    **Raises:**

    `ValueError` for a batch of one, a negative weight, or a posterior of another kind.

    Kumar, Sattigeri and Balakrishnan, 2018, [Variational inference of disentangled latent concepts from
    unlabeled observations](https://arxiv.org/abs/1711.00848), equation (7).
    """
    latents("dip_ii", draws)
    posteriors = posterior_of("dip_ii", draws)
    log_scale = getattr(posteriors, "log_scale", None)
    if log_scale is None:
        raise ValueError(
            f"`penalties.dip_ii` needs a posterior with a `log_scale` for each dimension, got a "
            f"`{type(posteriors).__name__}`; use `posteriors.DiagonalNormal`, or `penalties.dip_i`"
        )
    means = posterior_means("dip_ii", draws)
    within = jnp.diag(jnp.mean(jnp.exp(2 * log_scale.reshape(means.shape)), 0))
    return _distance("dip_ii", within + _covariance(means), off_diagonal, diagonal)


def _covariance(means: Float[Array, " batch latent"]) -> Float[Array, " latent latent"]:
    centred = means - jnp.mean(means, 0, keepdims=True)
    return centred.T @ centred / means.shape[0]


def _distance(call: str, covariance: Float[Array, " latent latent"], off_diagonal: Real, diagonal: Real) -> Scalar:
    check_weight(call, "off_diagonal", off_diagonal)
    check_weight(call, "diagonal", diagonal)
    variances = jnp.diag(covariance)
    correlated = covariance - jnp.diag(variances)
    return off_diagonal * jnp.sum(correlated**2) + diagonal * jnp.sum((variances - 1) ** 2)
