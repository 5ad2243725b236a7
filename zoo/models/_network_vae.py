from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PyTree

from ..posteriors import AbstractPosterior
from ._vae import AbstractVAE


class AbstractNetworkVAE(AbstractVAE):
    """A VAE of one encoder, one decoder and one family of posteriors between them.

    `encoder` and `decoder` may be replaced by any callable modules of the same sizes, with `equinox.tree_at`.
    """

    encoder: eqx.AbstractVar[Callable]
    decoder: eqx.AbstractVar[Callable]
    family: eqx.AbstractVar[Any]

    def posterior(self, x: Float[Array, " ..."]) -> AbstractPosterior:
        return self.family.from_params(self.encoder(x))

    def decode(self, z: PyTree[Float[Array, " ..."]]) -> Float[Array, " ..."]:
        return self.decoder(z)
