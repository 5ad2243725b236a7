import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._custom_types import Scalar
from ._marginals import climb


class AbstractLikelihood(eqx.Module):
    """A family p(x | parameters) that says what numbers it takes and where its parameters start.

    It has all that a `Likelihood` has under the same names, as fields, properties or methods.
    """

    @abc.abstractmethod
    def start(self, xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
        r"""The parameters $\hat\eta$ under which examples of independent dimensions are likeliest.

        $$\hat\eta = \arg\max_\eta \sum_i \log p(x_i \mid \eta)$$

        **Arguments:** `xs`: what the model sees of some examples, `(n, ...)` floats.

        **Returns:** parameters of the shape that a decoder puts out, on which no network has any influence yet.
        """


class Likelihood(AbstractLikelihood):
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
    - `integer_unit`: which whole number among the data stands for 1: 255 where bytes are pixels, 1 for counts, classes
      and bits. `None` where the family takes both: the bytes of images are pixels then, other whole numbers numbers.
    - `learns_scale`: whether the parameters hold a scale, so that the family is the same in any unit of x.
    - `wide`: whether good parameters differ by orders of magnitude, as the logits of black and of grey pixels do, so
      that a centred likelihood takes its decoder's output on the scale of their asinh.
    - `marginals(xs)`: what `start` gives, where there is a better way than to climb from zeros.

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
    integer_unit: int | None = eqx.field(static=True, default=None)
    learns_scale: bool = eqx.field(static=True, default=False)
    wide: bool = eqx.field(static=True, default=False)
    marginals: Callable[..., Float[Array, " ..."]] | None = eqx.field(static=True, default=None)

    def start(self, xs: Float[Array | np.ndarray, " n ..."]) -> Float[Array, " ..."]:
        """The parameters under which examples of independent dimensions are likeliest.

        **Arguments:** `xs`: what the model sees of some examples, `(n, ...)` floats.
        """
        if self.marginals is not None:
            return self.marginals(xs)
        shape = xs.shape[1:]
        guess = jnp.zeros((self.channels * shape[0], *shape[1:]))
        return climb(self.log_prob, guess, xs, channels=self.channels)

    def __repr__(self) -> str:
        # gaussian_log_prob with scale=0.1 bound is the likelihood `gaussian(scale=0.1)`.
        function: Any = self.log_prob
        options = ""
        if isinstance(function, eqx.Partial):
            options = "(" + ", ".join(f"{name}={value}" for name, value in function.keywords.items()) + ")"
            function = function.func
        return getattr(function, "__name__", repr(function)).removesuffix("_log_prob") + options
