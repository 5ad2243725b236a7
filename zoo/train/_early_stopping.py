import math
from collections.abc import Callable
from typing import Any


def early_stopping(patience: int, *, tolerance: float = 0.0) -> Callable[[list[dict[str, Any]]], bool]:
    """Ends training when the held-out objective has not risen for a while: for `fit(stop=...)`.

    It is a function of the history alone, so a run that was stopped and continued ends where the run that was
    never stopped does. The best model is `fit(...).best`.

    **Arguments:**

    - `patience`: how many measurements in a row may fail to be the best so far.
    - `tolerance`: what a measurement must be above the best so far to count as better, nats.

    **Returns:** `history -> bool`.

    **Raises:** `ValueError` for `patience` below 1 or a negative `tolerance`.

    Prechelt, "Early Stopping - But When?", 1998, the class UP_s without strips.
    """
    if patience < 1 or not tolerance >= 0:
        raise ValueError(
            f"`early_stopping({patience}, tolerance={tolerance})`: pass a patience of 1 or more and a tolerance of "
            "0 or more"
        )

    def stop(history: list[dict[str, Any]]) -> bool:
        best, waited = -math.inf, 0
        for row in history:
            if row["split"] == "held_out":
                better = row["objective"] > best + tolerance
                best, waited = (row["objective"], 0) if better else (best, waited + 1)
        return waited >= patience

    return stop
