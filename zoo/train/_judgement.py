from collections.abc import Callable, Sequence

import equinox as eqx
from jaxtyping import Array, Int

from .._draws import Draws
from ..estimators import reparameterised
from ..objectives import Scheduled, at_step


class Judgement(eqx.Module):
    """How a batch is judged: everything about the loss that is not the model or the data.

    It travels as one from `fit` to the loss. Numbers in it may be traced, such as a weight that is swept.

    **Fields:**

    - `objective`: one of `zoo.objectives`, `Draws -> scalar` for one example, to be maximised.
    - `k`: latents drawn for each example.
    - `estimator`: one of `zoo.estimators`; how the draws are differentiated.
    - `penalties`: functions of the draws of a whole batch, as in `zoo.penalties`.
    """

    objective: Callable[[Draws], Array]
    k: int
    estimator: Callable
    penalties: tuple[Callable, ...]

    def __init__(
        self,
        objective: Callable[[Draws], Array],
        k: int = 1,
        estimator: Callable = reparameterised,
        penalties: Sequence[Callable] = (),
    ):
        self.objective, self.k, self.estimator, self.penalties = objective, k, estimator, tuple(penalties)

    def at(self, step: int | Int[Array, ""]) -> "Judgement":
        """The judgement of a step, counted from 0, where the objective follows a schedule."""
        return Judgement(at_step(self.objective, step), self.k, self.estimator, self.penalties)

    def check_length(self, steps: int) -> None:
        """Refuse a run of that many steps if a schedule of the objective would not reach its end."""
        if isinstance(self.objective, Scheduled):
            self.objective.check(steps)
