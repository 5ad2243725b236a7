from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..flows import AbstractBijection, Bijection, Coupling, log_prob_through, stack, trace_back
from ..spaces import Euclidean
from ._diagonal_normal import DiagonalNormal
from ._posterior import LOG_SCALES, Traits, bounded
from ._traced import AbstractTracedPosterior


class Trail(NamedTuple):
    r"""Where a draw entered the flow, and $\log |\det|$ of the way from there."""

    start: Float[Array, " latent"]
    log_det: Scalar


class FlowedNormal(AbstractTracedPosterior):
    r"""A normal with independent dimensions, pushed through a bijection f.

    $$z = f(\mu + \sigma \odot \epsilon), \qquad
      \log q(z) = \log N(f^{-1}(z);\ \mu, \sigma^2) + \log \left|\det \frac{\partial f^{-1}(z)}{\partial z}\right|$$

    A draw keeps its epsilon and the log-determinant of its way, so that a bound inverts nothing, and estimators
    that hold the flow's parameters fixed (`zoo.estimators.stl`, `zoo.estimators.dreg`) differentiate the inverse
    there. `log_prob` inverts the flow, for any z. `mean` is the point $f(\mu)$: E[z] has no closed form, and
    this is not it.
    """

    base: DiagonalNormal
    flow: AbstractBijection

    @property
    def traits(self) -> Traits:
        """Pathwise draws of a density."""
        return Traits()

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return self.base.space

    def __init__(self, base: DiagonalNormal, flow: AbstractBijection):
        """**Arguments:** `base`: the normal that enters the flow; `flow`: from the normal's z to this one's."""
        self.base = base
        self.flow = flow

    @property
    def mean(self) -> Float[Array, " latent"]:
        r"""$f(\mu)$, in place of E[z]; it is the median where there is one dimension."""
        return self.flow.forward(self.base.mean)[0]

    def draw(self, *, key: PRNGKeyArray) -> tuple[Float[Array, " latent"], Trail]:
        start = self.base.sample(key=key)
        z, log_det = self.flow.forward(start)
        return z, Trail(start, log_det)

    def log_prob_along(self, z: Float[Array, " latent"], trail: Trail) -> Scalar:
        return self.base.log_prob(trail.start) - trail.log_det

    def trace_back(self, z: Float[Array, " latent"], trail: Trail) -> Trail:
        start = trace_back(self.flow, z, trail.start)
        return Trail(start, self.flow.forward(start)[1])

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        r"""$\log q(z \mid x)$ in nats at any z, through the inverse of the flow.

        It is NaN where the inverse is lost in rounding: where a change of z by four units of rounding, one way or
        the other, changes the log-density by more than a nat, and by more than 1e-4 of it.
        """
        log_prob = log_prob_through(self.flow, self.base, z)
        flow, base, at, value = lax.stop_gradient((self.flow, self.base, z, log_prob))
        aside = 4 * jnp.finfo(z.dtype).eps * jnp.where(jnp.arange(z.size) % 2 == 0, at, -at)
        beside = jax.vmap(lambda z: log_prob_through(flow, base, z))(jnp.stack([at + aside, at - aside]))
        same = (beside == value) | (jnp.abs(beside - value) <= 1 + 1e-4 * jnp.abs(value))
        return jnp.where(jnp.all(same), log_prob, jnp.nan)

    def kl(self, prior: Any) -> None:
        """`None`: there is no closed form."""
        return None


class FlowPosterior(eqx.Module):
    r"""The family of normals pushed through one flow, which is trained with the model.

    As a model's `posterior` argument: `MLPVAE(..., posterior=FlowPosterior(2, key=key))`. The encoder gives
    mean and log-scale of the normal; the flow is one and the same for every x, where Rezende & Mohamed let
    the encoder give its parameters too, and inverse autoregressive flow a context.

    A draw and its density take one pass together. The density elsewhere takes one more through a
    `zoo.flows.Coupling`, `latent_size` passes through a `zoo.flows.MaskedAutoregressive` (inverse autoregressive
    flow), and one scalar equation for each `zoo.flows.Planar`.

    Rezende & Mohamed, "Variational inference with normalizing flows", 2015, section 4; Kingma et al.,
    "Improved variational inference with inverse autoregressive flow", 2016.
    """

    flow: AbstractBijection
    latent_size: int = eqx.field(static=True)
    log_scales: tuple[float, float] | None = eqx.field(static=True)

    def __init__(
        self,
        latent_size: int,
        layers: int = 4,
        *,
        bijection: Bijection = Coupling,
        log_scales: tuple[float, float] | None = LOG_SCALES,
        key: PRNGKeyArray,
    ):
        """**Arguments:**

        - `latent_size`: dimensions of z, that of the model.
        - `layers`: bijections one after the other, with the order of the dimensions reversed in between.
        - `bijection`: `flows.Coupling`, `flows.MaskedAutoregressive` or `flows.Planar`; another width is
          `functools.partial(flows.Coupling, width_size=64)`.
        - `log_scales`: of the normal that enters the flow, as in `Family`.

        **Raises:** `ValueError` for sizes below 1, and for `Coupling` of fewer than two dimensions.
        """
        self.flow = stack(bijection, latent_size, layers, key=key)
        self.latent_size = latent_size
        self.log_scales = log_scales

    def num_params(self, latent_size: int) -> int:
        """How many numbers the encoder gives.

        **Raises:** `ValueError` for another latent size than the flow's.
        """
        if latent_size != self.latent_size:
            raise ValueError(
                f"`FlowPosterior(latent_size={self.latent_size})` got a model of latent_size={latent_size}; "
                "pass the same to both"
            )
        return DiagonalNormal.num_params(latent_size)

    def from_params(self, params: Float[Array, " params"]) -> FlowedNormal:
        """Means, then log-scales, of the normal that enters the flow."""
        return FlowedNormal(bounded(DiagonalNormal.from_params(params), self.log_scales), self.flow)
