from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ..spaces import Euclidean
from ._posterior import AbstractPosterior, Traits


class Point(AbstractPosterior):
    r"""All mass on one vector, the encoder's: the regularised autoencoder's posterior.

    A point has no density in a continuous space, so `log_prob` and `kl` are `None` and no bound exists:
    objectives of log-weights refuse it. Train with `zoo.objectives.reconstruction` and penalties, then fit the
    prior that samples are drawn from: regularise the decoder with the optimiser's weight decay.

    ```python
    model = zoo.ConvVAE(latent_size=8, posterior=posteriors.Point, likelihood=likelihoods.gaussian(), key=key)
    weights = lambda model: eqx.tree_at(lambda m: m.decoder, jax.tree.map(lambda _: False, model),
                                        jax.tree.map(eqx.is_inexact_array, model.decoder))
    optimiser = optax.chain(optax.add_decayed_weights(1e-4, mask=weights), optax.adam(1e-3))
    result = zoo.fit(model, xs, objective=objectives.reconstruction, penalties=[penalties.latent_norm],
                     optimiser=optimiser, key=key)
    model = zoo.fit_prior(result.model, xs, components=10, key=key)
    ```

    **Fields:** `mean`: the point, `(latent,)`.

    Ghosh et al., "From variational to deterministic autoencoders", 2020, sections 3 and 4. Their gradient
    penalty differentiates the decoder, which penalties do not see.
    """

    mean: Float[Array, " latent"]

    @property
    def traits(self) -> Traits:
        """A draw with a derivative, and no density."""
        return Traits(pathwise=False, has_density=False)

    @property
    def space(self) -> Euclidean:
        """$R^n$."""
        return Euclidean(self.mean.shape[-1])

    @staticmethod
    def num_params(latent_size: int) -> int:
        check_counts("Point.num_params", latent_size=latent_size)
        return latent_size

    @classmethod
    def from_params(cls, params: Float[Array, " params"]) -> "Point":
        """The parameters are the point."""
        return cls(params)

    def sample(self, *, key: PRNGKeyArray) -> Float[Array, " latent"]:
        return self.mean

    def log_prob(self, z: Float[Array, " latent"]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`None`: there is no density."""
        return None

    def kl(self, prior: object) -> None:
        """`None`: from every prior with a density it is infinite."""
        return None
