from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from .._custom_types import Scalar


class Likelihood(eqx.Module):
    r"""A family p(x | parameters) as pure functions of a decoder's output.

    The parameters of a datum `x` of shape `(d, ...)` have shape `(channels * d, ...)`: the `channels`
    groups are stacked along the first axis, as a convolution puts them out. They are unconstrained
    (logits, means, log-scales), never probabilities.

    **Fields**, all static, so that a model's leaves are its parameters alone:

    - `log_prob(params, x)`: $\log p(x \mid params)$ in nats, normalised and summed over the event.
    - `mean(params)`: $E[x \mid params]$, of x's shape.
    - `sample(params, *, key)`: $x \sim p(x \mid params)$, of x's shape.
    - `channels`: how many parameters one dimension of a datum takes.
    - `measure`: what the density is a density of: `"lebesgue"` (continuous) or `"counting"` (discrete).
    - `support`: the smallest interval that holds every possible value of a dimension.

    A family without options is one of these, and its `log_prob` says what it is:
    `help(zoo.likelihoods.bernoulli.log_prob)`. A family with parameters of its own to learn is an
    `equinox.Module` with these same names.
    """

    log_prob: Callable[[Float[Array, " ..."], Array], Scalar] = eqx.field(static=True)
    mean: Callable[[Float[Array, " ..."]], Float[Array, " ..."]] = eqx.field(static=True)
    sample: Callable[..., Array] = eqx.field(static=True)
    channels: int = eqx.field(static=True, default=1)
    measure: str = eqx.field(static=True, default="lebesgue")
    support: tuple[float, float] = eqx.field(static=True, default=(float("-inf"), float("inf")))

    def __repr__(self) -> str:
        # gaussian_log_prob with scale=0.1 bound is the likelihood `gaussian(scale=0.1)`.
        function: Any = self.log_prob
        options = ""
        if isinstance(function, eqx.Partial):
            options = "(" + ", ".join(f"{name}={value}" for name, value in function.keywords.items()) + ")"
            function = function.func
        return getattr(function, "__name__", repr(function)).removesuffix("_log_prob") + options
