from collections.abc import Callable
from itertools import count
from typing import NamedTuple

from .._checks import check_counts
from ._layers import Crop, Pad, from_row, to_row


class Halvings(NamedTuple):
    """How a picture or a signal becomes small, stage by stage; a signal is a picture of one row.

    Both sides are halved together, and once the shorter one is small, the longer one alone. What does not divide is
    padded with zeros before the first stage and cropped after the last.

    **Fields:**

    - `factors`: what height and width are divided by at each stage, 2 or 1.
    - `small`: height and width after the last.
    - `padding`: how many zeros there are at ((top, bottom), (left, right)).
    - `kernel`: rows and columns of the convolutions' kernels.
    """

    factors: tuple[tuple[int, int], ...]
    small: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    kernel: tuple[int, int]

    @property
    def is_signal(self) -> bool:
        """Whether rows are no axis of the data."""
        return self.kernel[0] == 1

    def way_in(self) -> tuple[Callable, ...]:
        """The layers that make of the data, channels last, a picture whose sides divide: none for most pictures."""
        pads = (Pad(self.padding),) if any(map(any, self.padding)) else ()
        return (to_row, *pads) if self.is_signal else pads

    def way_out(self) -> tuple[Callable, ...]:
        """The layers that take off what `way_in` has added."""
        crops = (Crop(self.padding),) if any(map(any, self.padding)) else ()
        return (*crops, from_row) if self.is_signal else crops


def plan_halvings(
    call: str, data_shape: tuple[int, ...], depth: int | None, *, largest: int = 8, least: int = 2
) -> Halvings:
    """Choose how often each side is halved: `depth` times, or else until `largest` points are left, but `least` times.

    A side that is a single point is halved no more.

    **Raises:** `ValueError` for what is neither a picture nor a signal, and for more halvings than the longest side
    takes.
    """
    if len(data_shape) not in (2, 3) or min(data_shape) < 1:
        raise ValueError(
            f"`{call}(image_shape={data_shape})`: (channels, height, width) of a picture or (channels, length) of a "
            "signal is needed, no number below 1; give the data that shape, or use `zoo.nn.fully_connected()`, which "
            "takes any"
        )
    sides = (1, *data_shape[1:])[-2:]
    most = [(side - 1).bit_length() for side in sides]
    if depth is not None:
        check_counts(call, depth=depth)
        if depth > max(1, *most):
            raise ValueError(
                f"`{call}(image_shape={data_shape}, depth={depth})`: {max(1, *most)} halvings leave a single point; "
                "pass no greater depth"
            )
    enough = [next(n for n in count() if side <= largest << n) for side in sides]
    times = [min(max(n, least) if depth is None else depth, most) for n, most in zip(enough, most, strict=True)]
    down, across = times
    factors = tuple((1 + (stage < down), 1 + (stage < across)) for stage in range(max(1, *times)))
    # The smallest size is rounded up, and what it lacks of the data's side is shared by both borders.
    height, width = (-(-side >> n) for side, n in zip(sides, times, strict=True))
    (tall, wide) = ((height << down) - sides[0], (width << across) - sides[1])
    padding = (tall // 2, tall - tall // 2), (wide // 2, wide - wide // 2)
    return Halvings(factors, (height, width), padding, (1 if len(data_shape) == 2 else 3, 3))


def grid_shape(data_shape: tuple[int, ...], *, depth: int | None = None) -> tuple[int, ...]:
    """The shape of the grid of codes that `GridEncoder` makes: `(height, width)` of a picture, `(length,)` of a signal.

    **Arguments:** `data_shape`: `(channels, height, width)` or `(channels, length)`; `depth`: as in `GridEncoder`.

    **Raises:** `ValueError` for other shapes.
    """
    return plan_halvings("grid_shape", data_shape, depth).small[-len(data_shape[1:]) :]
