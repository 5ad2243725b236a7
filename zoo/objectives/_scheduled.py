from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._custom_types import Scalar
from .._draws import Draws
from ._schedules import Schedule, Step, check_step


_LAST_STEP = 2**31 - 1


class Scheduled(eqx.Module):
    """An objective some of whose parameters follow the training step; see `scheduled`.

    **Fields:** `objective`; `schedules`: by the name of each parameter, a function of the step.
    """

    objective: Callable
    schedules: dict[str, Callable]

    def __call__(self, draws: Draws) -> Scalar:
        """The objective where its schedules end: the same at all steps, so fit to compare models by."""
        return self.at(_LAST_STEP)(draws)

    def at(self, step: Step) -> Callable:
        """The objective of that step, `Draws -> scalar`. The step may be traced: one trace serves all."""
        check_step("at", step)
        values = {name: _as_array(schedule(step)) for name, schedule in self.schedules.items()}
        return eqx.Partial(self.objective, **values)

    def check(self, steps: int) -> None:
        """Refuse a run of that many steps if it would end before a schedule does.

        **Raises:** `ValueError` naming the schedule, its length and the run's.
        """
        for name, schedule in self.schedules.items():
            if isinstance(schedule, Schedule) and schedule.steps > steps:
                raise ValueError(
                    f"the schedule of `{name}` takes {schedule.steps} steps, past the end of a run of "
                    f"{steps}: it would never reach its last value; pass steps <= {steps}, or train longer"
                )


def scheduled(objective: Callable, **schedules: Any) -> Scheduled:
    """An objective some of whose keyword parameters are schedules: functions of the training step.

    `scheduled(objectives.beta_elbo, beta=objectives.linear_schedule(1000))` is beta-VAE's objective with
    a warm-up of 1000 steps.

    **Arguments:**

    - `objective`: `(draws, *, ...) -> scalar`.
    - `schedules`: for each scheduled parameter a function of the step, such as those of
        `zoo.objectives` or of optax.

    **Returns:**

    A `Scheduled`, for `fit(objective=...)`. Its `at(step)` is an ordinary objective.

    **Raises:**

    `ValueError` if there is no schedule, or if one is not a function.
    """
    if not schedules:
        raise ValueError("`scheduled(objective)` needs a schedule by the name of its parameter, `beta=...`")
    for name, schedule in schedules.items():
        if not callable(schedule):
            raise ValueError(
                f"`scheduled({name}={schedule!r})` needs a function of the step; for a constant pass "
                f"`functools.partial(objective, {name}={schedule!r})` as the objective"
            )
    return Scheduled(objective, schedules)


def at_step(objective: Callable, step: Step) -> Callable:
    """The objective of a step: `objective` itself, unless it is `scheduled`.

    **Arguments:** `objective`: one of `zoo.objectives`; `step`: counted from 0, it may be traced.
    """
    return objective.at(step) if isinstance(objective, Scheduled) else objective


def _as_array(value: Any) -> Scalar:
    # An array inside eqx.Partial traces once; a Python float would retrace at each new value.
    return jax.lax.convert_element_type(jnp.asarray(value), jnp.result_type(float))
