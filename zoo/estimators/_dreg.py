import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._custom_types import Scalar
from .._draws import Draws, Proposal, over_draws
from ._judge import Objective, check_pathwise, hold, judge
from ._port import Note, port, settle


# Rows of second derivatives held at once: k x chunk numbers for each example.
_CHUNK = 256

Terms = tuple[Float[Array, " k"], Float[Array, " k"], Float[Array, " k"]]


def dreg(objective: Objective, proposal: Proposal) -> tuple[Scalar, Draws]:
    r"""The doubly reparameterised gradient, of every objective that is a function F of the draws' terms.

    Write $l_i, p_i, q_i$ for the log-densities of draw i under likelihood, prior and posterior. The direct
    dependence of $q_i$ on the posterior's parameters has the mean of a gradient along z, since
    $E[g(z) \nabla_\phi \log q_\phi(z)] = E[\nabla_z g(z) \, \nabla_\phi z]$. So the posterior's parameters
    are held fixed inside its density, and each term $a_i \in \{l_i, p_i, q_i\}$ sends along z the cotangent

    $\frac{\partial F}{\partial a_i} + \frac{\partial^2 F}{\partial q_i \, \partial a_i}$

    For `zoo.objectives.iwae` and its normalised weights w that is $w - w (1 - w) = w^2$, the paper's
    estimator; for `zoo.objectives.elbo` it is 1/k, which is `zoo.estimators.stl`. The parameters of
    the decoder and of the prior keep F's own cotangents $\partial F / \partial a_i$, so a prior that is
    learned, or that depends on the encoder, is differentiated in full. There is one pass through the
    decoder in either direction; the second derivatives cost k by k additions and no model.

    Unbiased, as `zoo.estimators.reparameterised` is, for objectives that look at the terms and `draws.kl`
    only and in which the derivative by q has no jumps: not for `zoo.objectives.renyi` at infinity, nor for
    `zoo.objectives.free_bits` and `zoo.objectives.capacity_elbo` where they estimate the divergence from
    draws. What an objective makes of `draws.z` or `draws.posterior` is differentiated as written. The terms
    of the draws returned are constants: a penalty may differentiate `z`, `kl` and `posterior`.

    **Arguments:** `objective`, `proposal`, and the result and errors too, as in `zoo.estimators.reparameterised`.

    Tucker et al., 2019, [Doubly reparameterized gradient estimators for Monte Carlo
    objectives](https://arxiv.org/abs/1810.04152), section 3. The extension from
    functions of the weights to functions of the three terms is ours.
    """
    check_pathwise("estimators.dreg", proposal)
    k = jax.tree.leaves(proposal.z)[0].shape[0]
    log_posterior = lambda z: proposal.log_posterior_at(z, hold(proposal.posterior))
    terms, notes = [], []
    for density in (over_draws(proposal.log_likelihood), over_draws(proposal.log_prior), log_posterior):
        z, note = port(proposal.z, k)
        terms.append(density(z))
        notes.append(note)
    draws = Draws(proposal.z, *terms, kl=proposal.kl, posterior=proposal.recorded_posterior)
    constant = _with_terms(draws, hold(tuple(terms)))
    value = settle(judge(objective, draws, proposal), tuple(notes), _rates(objective, constant, proposal))
    return value, constant


def _rates(objective: Objective, draws: Draws, proposal: Proposal) -> tuple[Note, ...]:
    """For each term the cotangents that F sends along z, and those that it should send."""
    draws, proposal = hold(draws), hold(proposal)

    def gradient(*terms: Float[Array, " k"]) -> Terms:
        value = lambda *terms: judge(objective, _with_terms(draws, terms), proposal)
        return jax.grad(value, argnums=(0, 1, 2))(*terms)

    terms = (draws.log_likelihood, draws.log_prior, draws.log_posterior)
    own, pull_back = jax.vjp(gradient, *terms)
    k = terms[0].shape[0]

    def second_derivatives(i):
        # Row i of the derivatives of dF / dq, of which one number in each is wanted.
        unit = (jnp.arange(k) == i).astype(terms[0].dtype)
        return tuple(row[i] for row in pull_back((jnp.zeros_like(unit), jnp.zeros_like(unit), unit)))

    if k <= _CHUNK:
        diagonals = jax.vmap(second_derivatives)(jnp.arange(k))
    else:
        diagonals = jax.lax.map(second_derivatives, jnp.arange(k), batch_size=_CHUNK)
    return tuple((first, first + second) for first, second in zip(own, diagonals, strict=True))


def _with_terms(draws: Draws, terms: Terms) -> Draws:
    log_likelihood, log_prior, log_posterior = terms
    return dataclasses.replace(draws, log_likelihood=log_likelihood, log_prior=log_prior, log_posterior=log_posterior)
