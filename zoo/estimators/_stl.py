import dataclasses

from .._custom_types import Scalar
from .._draws import Draws, Proposal
from ._judge import Objective, check_pathwise, hold, judge


def stl(objective: Objective, proposal: Proposal) -> tuple[Scalar, Draws]:
    r"""Sticking the landing: the posterior's parameters are held fixed inside its own density.

    The gradient reaches $\log q_\phi(z_i \mid x)$ through z alone. What is left out has mean zero for
    `zoo.objectives.elbo`, and near the true posterior its variance is most of the gradient's. For
    objectives that weigh the draws, such as `zoo.objectives.iwae` with k > 1, the mean is not zero and
    the posterior's gradient is biased: use `zoo.estimators.dreg`.

    **Arguments:** `objective`, `proposal`, and the result and errors too, as in `zoo.estimators.reparameterised`.

    Roeder, Wu and Duvenaud, 2017, [Sticking the landing](https://arxiv.org/abs/1703.09194),
    algorithm 2.
    """
    check_pathwise("estimators.stl", proposal)
    draws = proposal.score()
    log_posterior = proposal.log_posterior_at(proposal.z, hold(proposal.posterior))
    draws = dataclasses.replace(draws, log_posterior=log_posterior)
    return judge(objective, draws, proposal), draws
