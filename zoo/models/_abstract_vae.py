import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree, Shaped

from .._checks import check_counts
from .._constants import keep_trainable
from .._draws import Draws, Proposal, over_draws
from ..likelihoods import Centred, Likelihood, Units, centred, features_of, read
from ..nn import Partitioned, give_keys
from ..posteriors import AbstractPosterior, draw_from
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

    def features(self, x: Float[Array, " ..."]) -> Float[Array, " ..."]:
        """What the encoder sees of an example: the same in whatever units x is, once the likelihood is in them."""
        return features_of(self.likelihood)(x)

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
        check_spaces(self, posterior, prior)
        z, trail = over_draws(lambda key: draw_from(posterior, key=key))(keys)
        return Proposal(
            z=z,
            posterior=posterior,
            log_likelihood=lambda z: self.likelihood.log_prob(self.decode(z), x),
            log_prior=prior.log_prob,
            kl=posterior.kl(prior),
            trail=trail,
        )

    def __repr__(self) -> str:
        parts = [(field.name, vars(self)[field.name]) for field in dataclasses.fields(self)]
        lines = [f"  {name}={_in_brief(part)}" for name, part in parts if part is not None]
        return ",\n".join([f"{type(self).__name__}(  # {_count(self)}\n{lines[0]}", *lines[1:]]) + "\n)"


def draw_keys(key: PRNGKeyArray, k: int, *, start: Any = 0) -> Key[Array, " k"]:
    """Make the keys of draws `start` to `start + k - 1`, each of which depends on its own number alone.

    **Arguments:** `k`: how many draws; `start`: the number of the first.

    **Raises:** `ValueError` for fewer than one draw.
    """
    check_counts("draw", k=k)
    return jax.vmap(lambda i: jr.fold_in(key, i))(start + jnp.arange(k, dtype=jnp.uint32))


def observe_example(
    model: AbstractVAE, observe: Callable | None, x: Shaped[Array, " ..."], *, key: PRNGKeyArray
) -> Float[Array, " ..."]:
    """What the model sees of an example, in the dtype of its weights.

    **Arguments:** `observe`: `(x, *, key) -> float array`, as in `zoo.fit`, or `None` to take it for what the
    likelihood takes numbers of its type; `x`: one example, as it was given.
    """
    weights = [leaf.dtype for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)]
    seen = read(model.likelihood, x[None])[0] if observe is None else observe(x, key=key)
    return seen.astype(jnp.result_type(*weights))


def parameter_shape(likelihood: Any, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the parameters that a likelihood takes for a datum.

    **Arguments:** `likelihood`: one of `zoo.likelihoods`; `data_shape`: the datum's shape.
    """
    return (likelihood.channels * data_shape[0], *data_shape[1:])


def in_units(likelihood: Any, units: Units | None) -> Any:
    """The likelihood centred on the data of these units; as it is where none are given.

    **Arguments:** `likelihood`: one of `zoo.likelihoods`; `units`: of `zoo.data.units`, or `None`.
    """
    return likelihood if units is None else centred(likelihood, units)


def check_spaces(model: AbstractVAE, posterior: AbstractPosterior, prior: AbstractPrior) -> None:
    """Refuse a prior whose density stands on another space than the posterior's: their difference means nothing."""
    if posterior.space != prior.space:
        raise ValueError(
            f"`{type(model).__name__}`: z of the posterior `{type(posterior).__name__}` lives in {posterior.space}, z "
            f"of the prior `{type(prior).__name__}` in {prior.space}; pass a posterior and a prior on the same space"
        )


def check_parts(model: AbstractVAE) -> None:
    """Refuse networks, a posterior, a prior and a likelihood that do not fit together: shapes alone are evaluated.

    **Raises:** `ValueError` where the encoder does not take the data, the prior lives elsewhere than the posterior, or
    the decoder does not make of a latent the parameters that the likelihood takes.
    """
    name, wanted = type(model).__name__, parameter_shape(model.likelihood, model.data_shape)

    def decoded(model, x, key):
        model = give_keys(model, key=key)
        try:
            posterior = model.posterior(x)
        except TypeError as error:
            raise ValueError(
                f"`{name}`: the encoder cannot take one example, an array of shape {model.data_shape}: {error}"
            ) from error
        prior = model.latent_prior
        check_spaces(model, posterior, prior)
        try:
            return over_draws(lambda key: model.decode(prior.sample(key=key)))(key[None])[0]
        except TypeError as error:
            raise ValueError(f"`{name}`: the decoder cannot take a latent from {prior.space}: {error}") from error

    # Mapped over a batch of one and a draw of one, as some layers look for these axes.
    batch = jax.ShapeDtypeStruct((1, *model.data_shape), jnp.result_type(float))
    over_batch = lambda model, xs, key: jax.vmap(lambda x: decoded(model, x, key), axis_name="batch")(xs)
    found = eqx.filter_eval_shape(over_batch, model, batch, jr.key(0)).shape[1:]
    if found != wanted:
        raise ValueError(
            f"`{name}`: the decoder makes parameters of shape {found}, but the likelihood takes {wanted} for data of "
            f"shape {model.data_shape}, {model.likelihood.channels} to a dimension; give the decoder that shape"
        )


def _in_brief(part: Any) -> str:
    """A part of a model on one line."""
    if eqx.is_array(part):
        return f"array of shape {part.shape}"
    if not isinstance(part, eqx.Module) or isinstance(part, Likelihood | Centred):
        return repr(part)
    if isinstance(part, Partitioned):
        return f"{getattr(part.rest, '__name__', type(part.rest).__name__)}({_count(part)})"
    sizes = {field.name: vars(part)[field.name] for field in dataclasses.fields(part) if field.metadata.get("static")}
    named = [f"{name}={getattr(size, '__name__', size)}" for name, size in sizes.items()]
    return f"{type(part).__name__}({', '.join(named + [_count(part)] * (_count(part)[0] != '0'))})"


def _count(tree: PyTree) -> str:
    return f"{sum(leaf.size for leaf in jax.tree.leaves(keep_trainable(tree))):,} parameters"
