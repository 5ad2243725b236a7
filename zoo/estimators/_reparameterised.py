import dataclasses

from .._custom_types import Scalar
from .._draws import Draws, Proposal
from ._judge import Objective, check_reparameterised, judge


def reparameterised(objective: Objective, proposal: Proposal) -> tuple[Scalar, Draws]:
    r"""The objective differentiated as it is written, z being a function of the posterior's parameters.

    With $z_i = T(\epsilon_i, \phi)$ the gradient is that of $F(z_1, \ldots, z_k; \theta, \phi)$: through
    every z and through every density. It is unbiased for every objective, but for posteriors of discrete
    latents: their draws carry the derivative of something smooth in their place (`zoo.posteriors.Categorical`,
    `zoo.posteriors.Quantised`), and gradients are biased.

    **Arguments:**

    - `objective`: `Draws -> scalar`, to be maximised.
    - `proposal`: k latents of one example, and the densities that score them.

    **Returns:**

    The objective's value, nats, and the draws it judged.

    **Raises:**

    `ValueError` if the posterior's samples are not reparameterised.

    Kingma and Welling, 2014, [Auto-encoding variational Bayes](https://arxiv.org/abs/1312.6114),
    section 2.4.
    """
    check_reparameterised("estimators.reparameterised", proposal)
    draws = proposal.score()
    return judge(objective, draws, proposal), draws


def detached(objective: Objective, proposal: Proposal) -> tuple[Scalar, Draws]:
    r"""The objective differentiated with every z held fixed, so in the densities' own parameters only.

    It is what `zoo.objectives.wake_theta` and `zoo.objectives.wake_phi` need of a posterior that cannot be
    reparameterised. With any other objective the posterior's gradient is not the bound's.

    **Arguments:** `objective`, `proposal`, and the result too, as in `zoo.estimators.reparameterised`.

    Bornschein and Bengio, 2015, [Reweighted wake-sleep](https://arxiv.org/abs/1406.2751), section 2.
    """
    fixed = proposal.at_rest()
    draws = fixed.score()
    # Penalties may still move z.
    return judge(objective, draws, fixed), dataclasses.replace(draws, z=proposal.z)
