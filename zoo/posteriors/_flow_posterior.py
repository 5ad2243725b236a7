from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from .._custom_types import Scalar
from ..flows import AbstractBijection, Bijection, Coupling, log_prob_through, sample_through, stack
from ..spaces import Euclidean
from ._diagonal_normal import DiagonalNormal
from ._posterior import AbstractPosterior, Traits


class FlowedNormal(AbstractPosterior):
    r"""A normal with independent dimensions, pushed through a bijection f.

    $$z = f(\mu + \sigma \odot \epsilon), \qquad
      \log q(z) = \log N(f^{-1}(z);\ \mu, \sigma^2) + \log \left|\det \frac{\partial f^{-1}(z)}{\partial z}\right|$$

    `log_prob` inverts the flow, so it is right for every z and not only for its own samples, and the
    flow's parameters can be held fixed in it (`zoo.estimators.stl`, `zoo.estimators.dreg`). `mean` is the
    point $f(\mu)$: E[z] has no closed form, and this is not it.
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

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        return sample_through(self.flow, self.base, key=key)

    def log_prob(self, z: Float[Array, " latent"]) -> Scalar:
        return log_prob_through(self.flow, self.base, z)

    def kl(self, prior: Any) -> None:
        """`None`: there is no closed form."""
        return None


class FlowPosterior(eqx.Module):
    r"""The family of normals pushed through one flow, which is trained with the model.

    As a model's `posterior` argument: `MLPVAE(..., posterior=FlowPosterior(2, key=key))`. The encoder gives
    mean and log-scale of the normal; the flow is one and the same for every x, where Rezende & Mohamed let
    the encoder give its parameters too, and inverse autoregressive flow a context.

    A draw and its density take one pass through a `zoo.flows.Coupling` either way. Through a
    `zoo.flows.MaskedAutoregressive` (inverse autoregressive flow) the draw takes one pass and the density
    `latent_size`; through a `zoo.flows.Planar` one scalar equation is solved.

    Rezende & Mohamed, "Variational inference with normalizing flows", 2015, section 4; Kingma et al.,
    "Improved variational inference with inverse autoregressive flow", 2016.
    """

    flow: AbstractBijection
    latent_size: int = eqx.field(static=True)

    def __init__(self, latent_size: int, layers: int = 4, *, bijection: Bijection = Coupling, key: PRNGKeyArray):
        """**Arguments:**

        - `latent_size`: dimensions of z, that of the model.
        - `layers`: bijections one after the other, with the order of the dimensions reversed in between.
        - `bijection`: `flows.Coupling`, `flows.MaskedAutoregressive` or `flows.Planar`; another width is
          `functools.partial(flows.Coupling, width_size=64)`.

        **Raises:** `ValueError` for sizes below 1, and for `Coupling` of fewer than two dimensions.
        """
        self.flow = stack(bijection, latent_size, layers, key=key)
        self.latent_size = latent_size

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
        return FlowedNormal(DiagonalNormal.from_params(params), self.flow)
