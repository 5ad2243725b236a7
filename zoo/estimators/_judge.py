import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import PyTree

from .._checks import check_scalar
from .._custom_types import Scalar
from .._draws import Draws, Proposal


Objective = Callable[[Draws], Scalar]


def hold(tree: PyTree) -> PyTree:
    """The same values, through which no gradient flows."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)


def judge(objective: Objective, draws: Draws, proposal: Proposal) -> Scalar:
    """The objective's value, `draws.fixed()` being within its reach."""
    return check_scalar("objective", objective(dataclasses.replace(draws, rescore=lambda: proposal.at_rest().score())))


def check_reparameterised(call: str, proposal: Proposal) -> None:
    """Refuse a posterior whose samples are no differentiable function of its parameters."""
    if not proposal.posterior.traits.reparameterised:
        raise ValueError(
            f"`{call}` differentiates through z, but samples of `{type(proposal.posterior).__name__}` are "
            "not reparameterised; pass `estimator=estimators.detached` with `objectives.wake_theta` and "
            "`objectives.wake_phi`, or use a posterior that can be reparameterised"
        )


def check_pathwise(call: str, proposal: Proposal) -> None:
    """Refuse a posterior whose samples' derivative is not exactly that of its distribution."""
    check_reparameterised(call, proposal)
    if not proposal.posterior.traits.pathwise:
        raise ValueError(
            f"`{call}` rests on E[g(z) d log q(z)] = E[dg(z)/dz dz], which holds for exactly reparameterised draws of "
            f"a density; `{type(proposal.posterior).__name__}` has none such. Pass "
            "`estimator=estimators.reparameterised`, whose gradient is then a straight-through one, or use a "
            "continuous posterior"
        )
