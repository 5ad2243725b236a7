import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, PyTree, Shaped

from ._custom_types import Scalar


class Draws(eqx.Module):
    r"""k latents drawn from the posterior of one example, with their log-densities in nats.

    This is all that an objective sees of a model. `k` is always there, `k = 1` included; a batch of
    examples is a `Draws` with one more leading axis on every leaf, as `jax.vmap` returns it.

    **Fields:**

    - `z`: the latents $z_i \sim q(z \mid x)$, a PyTree whose leaves begin with the axis `k`.
    - `log_likelihood`: $\log p(x \mid z_i)$.
    - `log_prior`: $\log p(z_i)$.
    - `log_posterior`: $\log q(z_i \mid x)$, or `None` where q(z | x) has no density, as `posteriors.Point`.
    - `kl`: $KL(q(z \mid x) \,\|\, p(z))$ in closed form, or `None` where the pair has none.
    - `posterior`: the distribution q(z | x) the latents came from, for penalties that need it at other
      points than its own draws; or `None`, also where it holds networks and not numbers alone.
    - `rescore`: scores the same draws anew with z held fixed; given by an estimator to the objective it
      calls, else `None`. See `fixed`.
    """

    z: PyTree[Shaped[Array, " k ..."]]
    log_likelihood: Float[Array, " k"]
    log_prior: Float[Array, " k"]
    log_posterior: Float[Array, " k"] | None
    kl: Scalar | None = None
    posterior: Any = None
    rescore: Callable[[], "Draws"] | None = eqx.field(static=True, default=None)

    def __repr__(self) -> str:
        *batch, k = self.log_likelihood.shape
        latents = ", ".join(f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(self.z))
        parts = [*(f"batch={n}" for n in batch), f"k={k}", f"z={latents}"]
        terms = [self.log_likelihood, self.log_prior, self.log_posterior]
        if all(isinstance(term, jax.Array) and not isinstance(term, Tracer) for term in terms):
            means = [f"{float(term.mean()):.5g}" for term in terms]
            parts.append("in the mean {} + {} - {} nats".format(*means))
        return f"Draws({', '.join(parts)})"

    def fixed(self) -> "Draws":
        """The same draws with z held fixed: their terms move with the parameters of the densities alone.

        For objectives that train the generative model and the posterior differently. The values are those
        of these draws, so a compiler merges the two evaluations.
        """
        return self if self.rescore is None else self.rescore()

    @property
    def log_weight(self) -> Float[Array, " *batch k"]:
        r"""$\log w_i = \log p(x \mid z_i) + \log p(z_i) - \log q(z_i \mid x)$, nats.

        **Raises:** `ValueError` where q(z | x) has no density: there is no bound then.
        """
        return self.log_likelihood + self.log_prior - self._density()

    @property
    def rate(self) -> Float[Array, " *batch k"]:
        r"""$\log q(z_i \mid x) - \log p(z_i)$, nats, whose mean estimates the divergence. Raises as `log_weight`."""
        return self._density() - self.log_prior

    def _density(self) -> Float[Array, " *batch k"]:
        if self.log_posterior is None:
            raise ValueError(
                f"`draws.log_weight` and `draws.rate` need log q(z | x), but `{type(self.posterior).__name__}` has no "
                "density, so there is no bound on log p(x); pass `objective=objectives.reconstruction`, or use a "
                "posterior with a density, such as `posteriors.DiagonalNormal`"
            )
        return self.log_posterior


class Proposal(eqx.Module):
    r"""k latents, and the densities that will score them as functions still to be called.

    `score` calls them. An estimator (`zoo.estimators`) may call them at other points of the graph
    instead: it decides how the draw is differentiated, never what it is worth.

    **Fields:**

    - `z`: the latents, a PyTree whose leaves begin with the axis `k`.
    - `posterior`: the distribution q(z | x); its leaves are the posterior's parameters at this x.
    - `log_likelihood`: z of one draw to $\log p(x \mid z)$, run under `vmap` with the axis name `"k"`.
    - `log_prior`: z of one draw to $\log p(z)$.
    - `kl`: as in `Draws`.
    - `trail`: what the posterior's `draw` gave with each z, or `None`: `posteriors.AbstractTracedPosterior`.
    """

    z: PyTree[Shaped[Array, " k ..."]]
    posterior: Any
    log_likelihood: Callable[[PyTree], Scalar]
    log_prior: Callable[[PyTree], Scalar]
    kl: Scalar | None = None
    trail: Any = None

    @property
    def recorded_posterior(self) -> Any:
        """The posterior as `Draws` has it: `None` where it is more than arrays, which `jax.vmap` could not return."""
        return self.posterior if all(eqx.is_array(leaf) for leaf in jax.tree.leaves(self.posterior)) else None

    def score(self) -> Draws:
        """The `Draws` of these latents, differentiated as written."""
        return Draws(
            z=self.z,
            log_likelihood=over_draws(self.log_likelihood)(self.z),
            log_prior=over_draws(self.log_prior)(self.z),
            log_posterior=self._log_posterior(),
            kl=self.kl,
            posterior=self.recorded_posterior,
        )

    def _log_posterior(self) -> Float[Array, " k"] | None:
        if self.trail is None:
            return over_draws(self.posterior.log_prob)(self.z)
        return over_draws(self.posterior.log_prob_along)(self.z, self.trail)

    def log_posterior_at(self, z: PyTree[Shaped[Array, " k ..."]], posterior: Any) -> Float[Array, " k"] | None:
        r"""$\log q(z_i \mid x)$ of these draws as a function of where they are, whichever way they came.

        **Arguments:** `z`, `posterior`: those of the proposal, for another derivative: held fixed, or through a gate.
        """
        moved = dataclasses.replace(self, z=z, posterior=posterior, trail=self._trace_back(z, posterior))
        return moved._log_posterior()

    def at_rest(self) -> "Proposal":
        """The same proposal with the latents as constants; its densities keep their parameters."""
        z = lax.stop_gradient(self.z)
        return dataclasses.replace(self, z=z, trail=self._trace_back(z, self.posterior))

    def _trace_back(self, z: PyTree, posterior: Any) -> Any:
        return None if self.trail is None else over_draws(posterior.trace_back)(z, self.trail)


def over_draws(function: Callable) -> Callable:
    """`function` of one draw, mapped over the leading axis `k` of its arguments."""
    return jax.vmap(function, axis_name="k")
