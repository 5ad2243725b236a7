import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from .._draws import Draws, Proposal, over_draws
from ..posteriors import AbstractPosterior
from ..priors import AbstractBorrowingPrior, AbstractPrior


class AbstractVAE(eqx.Module):
    r"""A latent-variable model p(x, z) = p(z) p(x | z) with its amortised posterior q(z | x).

    A model says where latents come from and what they decode to; the methods here turn that into
    `Draws`, which is all that objectives and evaluators see. Every method takes one example without a
    batch axis: batches are `jax.vmap(..., axis_name="batch")`.
    """

    prior: eqx.AbstractVar[AbstractPrior | AbstractBorrowingPrior]
    likelihood: eqx.AbstractVar[Any]
    data_shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def posterior(self, x: Float[Array, " ..."]) -> AbstractPosterior:
        """q(z | x)."""

    @abc.abstractmethod
    def decode(self, z: PyTree[Float[Array, " ..."]]) -> Float[Array, " ..."]:
        """The parameters of p(x | z), unconstrained, as `self.likelihood` reads them."""

    @property
    def latent_prior(self) -> AbstractPrior:
        """p(z): `prior`, with what it borrows from this model filled in."""
        return self.prior.of(self) if isinstance(self.prior, AbstractBorrowingPrior) else self.prior

    def draw(self, x: Float[Array, " ..."], *, k: int, key: PRNGKeyArray) -> Draws:
        """k draws from q(z | x) with their log-densities.

        **Arguments:** `x`: one example; `k`: how many draws, at least 1; `key`: draw i depends on
        `fold_in(key, i)` alone, so the first draws stay the same when `k` grows.
        """
        return self.propose(x, self.posterior(x), draw_keys(key, k)).score()

    def propose(self, x: Float[Array, " ..."], posterior: AbstractPosterior, keys: Key[Array, " k"]) -> Proposal:
        """One draw from `posterior` for each key, with the densities that will score it.

        `posterior` is usually `self.posterior(x)`; any other distribution over z may stand in its place.
        """
        prior = self.latent_prior
        return Proposal(
            z=over_draws(lambda key: posterior.sample(key=key))(keys),
            posterior=posterior,
            log_likelihood=lambda z: self.likelihood.log_prob(self.decode(z), x),
            log_prior=prior.log_prob,
            kl=posterior.kl(prior),
        )


def draw_keys(key: PRNGKeyArray, k: int, *, start: Any = 0) -> Key[Array, " k"]:
    """The keys of draws `start` to `start + k - 1`, each of which depends on its own number alone.

    **Arguments:** `k`: how many; `start`: the number of the first.

    **Raises:** `ValueError` for fewer than one draw.
    """
    if k < 1:
        raise ValueError(f"`k={k}`: at least one draw is needed; pass k >= 1")
    return jax.vmap(lambda i: jr.fold_in(key, i))(start + jnp.arange(k, dtype=jnp.uint32))


def parameter_shape(likelihood: Any, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the parameters that `likelihood` takes for a datum of `data_shape`."""
    return (likelihood.channels * data_shape[0], *data_shape[1:])


def check_latent_size(call: str, latent_size: int) -> None:
    if latent_size < 1:
        raise ValueError(f"`{call}(latent_size={latent_size})`: at least one latent dimension is needed")
