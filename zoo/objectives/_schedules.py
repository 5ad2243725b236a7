import math
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int

from .._checks import check_counts
from .._custom_types import Scalar


Step = int | Int[Array, ""]


class Schedule(eqx.Module):
    """A value that goes from `start` to `stop` within `steps` steps, and keeps its last value from there on.

    It is a function of the step, as optax's schedules are, and may stand wherever one of those does. The
    way is gone `cycles` times over, each time in the first `ramp` of the cycle; `shape` makes of the progress, in
    [0, 1], the share of the way that is gone.
    """

    shape: Callable[[Scalar], Scalar]
    start: float
    stop: float
    steps: int
    cycles: int = 1
    ramp: float = 1.0

    def __call__(self, step: Step) -> Scalar:
        check_step("schedule", step)
        length = self.steps / self.cycles
        gone = jnp.minimum(jnp.asarray(step), self.steps).astype(jnp.result_type(float))
        cycle = jnp.minimum(jnp.floor(gone / length), self.cycles - 1)
        progress = jnp.clip((gone - cycle * length) / (self.ramp * length), 0.0, 1.0)
        return self.start + (self.stop - self.start) * self.shape(progress)


def linear_schedule(steps: int, *, start: float = 0.0, stop: float = 1.0) -> Schedule:
    r"""From `start` to `stop` in a straight line.

    $v(t) = a + (b - a) \min(t / T, 1)$

    With the defaults it is the warm-up of the divergence's weight beta; with `stop=25.0`, say, it is
    the rising capacity of `zoo.objectives.capacity_elbo`, nats.

    **Arguments:**

    - `steps`: T, how many steps the way takes.
    - `start`, `stop`: a and b.

    **Returns:**

    A function of the step; it traces once.

    **Raises:**

    `ValueError` if `steps < 1` or a value is not finite.

    Bowman et al., 2016, [Generating sentences from a continuous
    space](https://arxiv.org/abs/1511.06349), section 3.1, and Burgess et al., 2018, [Understanding
    disentangling in beta-VAE](https://arxiv.org/abs/1804.03599), equation (8).
    """
    return _schedule("linear_schedule", _line, start, stop, steps)


def cosine_schedule(steps: int, *, start: float = 0.0, stop: float = 1.0) -> Schedule:
    r"""From `start` to `stop` along half a cosine: slow at both ends.

    $v(t) = a + \frac{b - a}{2} \left(1 - \cos(\pi \min(t / T, 1))\right)$

    **Arguments:** `steps`, `start`, `stop`, and the result and errors too, as in `linear_schedule`.
    """
    return _schedule("cosine_schedule", _half_cosine, start, stop, steps)


def cyclical_schedule(
    steps: int, *, cycles: int = 4, ramp: float = 0.5, start: float = 0.0, stop: float = 1.0
) -> Schedule:
    r"""From `start` to `stop` several times over: a ramp and a rest in every cycle.

    $v(t) = a + (b - a) \min(\tau / R, 1)$ with $\tau = (t \bmod T / M) \, M / T$

    **Arguments:**

    - `steps`: T, all cycles together.
    - `cycles`: M.
    - `ramp`: R, the share of a cycle that the ramp takes, in (0, 1].
    - `start`, `stop`: a and b.

    **Returns:**

    A function of the step; it traces once, and stays at `stop` after the last cycle.

    **Raises:**

    `ValueError` if `ramp` lies outside (0, 1], there are fewer steps than cycles, or a value is not finite.

    Fu et al., 2019, [Cyclical annealing schedule: a simple approach to mitigating KL
    vanishing](https://arxiv.org/abs/1903.10145), equation (6).
    """
    call = "cyclical_schedule"
    if not 1 <= cycles <= steps:
        raise ValueError(f"`{call}(steps={steps}, cycles={cycles})` needs steps for every cycle; pass cycles <= steps")
    if not 0 < ramp <= 1:
        raise ValueError(f"`{call}(ramp={ramp})` is the share of a cycle; pass a `ramp` in (0, 1]")
    return _schedule(call, _line, start, stop, steps, cycles, ramp)


def check_step(call: str, step: Step) -> None:
    """Refuse a step before the first, where its value is known."""
    if isinstance(step, int) and step < 0:
        raise ValueError(f"`{call}(step={step})`: steps are counted from 0; pass a step >= 0")


def _schedule(
    call: str,
    shape: Callable[[Scalar], Scalar],
    start: float,
    stop: float,
    steps: int,
    cycles: int = 1,
    ramp: float = 1.0,
) -> Schedule:
    check_counts(call, steps=steps)
    for name, value in (("start", start), ("stop", stop)):
        if not math.isfinite(value):
            raise ValueError(f"`{call}({name}={value})` is not finite; pass a finite `{name}`")
    return Schedule(shape, float(start), float(stop), steps, cycles, float(ramp))


def _line(progress: Scalar) -> Scalar:
    return progress


def _half_cosine(progress: Scalar) -> Scalar:
    return 0.5 - 0.5 * jnp.cos(math.pi * progress)
