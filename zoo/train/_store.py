import contextlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np

from ..files import (
    append_rows,
    checkpoints,
    cut_history,
    load_newest,
    read_history,
    run_lock,
    save_checkpoint,
    sync_history,
)
from ..models import AbstractVAE
from ._guard import is_finite
from ._step import TrainState


HISTORY = "metrics.jsonl"
# Apart from the history, which is the same bytes however often a run was stopped.
TIMING = "timing.jsonl"
# Unless told how often: every so many steps, as long as saving takes no more than this share of the time.
_EVERY, _SHARE = 100, 0.02


class Store:
    """The directory that a run lives in: its checkpoints and its history. Without a directory nothing is kept.

    The history is on the disk before the checkpoint that ends it, so cutting it there loses nothing.
    """

    def __init__(self, directory: str | os.PathLike | None, every: int | None, **fixed: int):
        self.directory = None if directory is None else Path(directory)
        self.every, self.fixed = every, fixed
        self.saved_step, self.saved_at, self.seconds = -1, time.perf_counter(), 0.0

    def restore(
        self, state: TrainState, best: AbstractVAE | None, *, resume: bool
    ) -> tuple[TrainState, AbstractVAE | None, list[dict[str, Any]]]:
        """Loads the state, the best model and the history of a run that goes on; others begin with what is given."""
        if self.directory is None:
            return state, best, []
        if checkpoints(self.directory) and not resume:
            raise FileExistsError(
                f"`fit(checkpoint={os.fspath(self.directory)!r})`: a run has checkpoints there; pass resume=True to go "
                "on with it, or choose another directory"
            )
        like = {"state": state, "best": best, **self.fixed}
        # An optimiser may start from infinity, and the checksum has told damage from that.
        found = load_newest(self.directory, like=like, allow_nonfinite=True)
        if found is None:
            if read_history(self.directory / HISTORY):
                raise FileExistsError(
                    f"`fit(checkpoint={os.fspath(self.directory)!r})`: a run has left its history there but no "
                    "checkpoint to go on from; choose another directory, or remove metrics.jsonl"
                )
            _cut(self.directory, -1)
            # So that a run that is killed before its first step can be resumed as any other.
            self.save(state, best)
            return state, best, []
        for reason in found.skipped:
            warnings.warn(f"`fit(resume=True)` passed a checkpoint over: {reason}", stacklevel=3)
        self._refuse_another_run(found.state, like)
        self.saved_step = found.step
        return found.state["state"], found.state["best"], _cut(self.directory, found.step)

    def append(self, rows: list[dict[str, Any]]) -> None:
        """Adds rows to the history on the disk."""
        if self.directory is not None:
            append_rows(self.directory / HISTORY, rows)

    def append_timing(self, step: int, steps: int, seconds: float) -> None:
        """Notes how many seconds the `steps` up to this one took, compilation included."""
        if self.directory is not None:
            rate = steps * self.fixed["batch_size"] / seconds
            row = dict(step=step, steps=steps, seconds=round(seconds, 6), images_per_second=round(rate, 1))
            append_rows(self.directory / TIMING, [row])

    def steps_until_due(self, step: int) -> int:
        """The number of steps to the next checkpoint, or more than any block has."""
        every = self.every or _EVERY
        return every - step % every if self._may_save() else sys.maxsize

    def save(self, state: TrainState, best: AbstractVAE | None, *, due: bool = False) -> None:
        """Writes a checkpoint of this step unless there is one; with `due`, only where the next one is due.

        **Raises:** `FloatingPointError` where the model is not finite; `OSError` where it cannot be written.
        """
        step = int(state.step)
        # The last step of a run is kept whatever its number.
        wanted = self._may_save() and step % (self.every or _EVERY) == 0 if due else self.directory is not None
        if self.directory is None or not wanted or step == self.saved_step:
            return
        if not is_finite(state.model):
            raise FloatingPointError(
                f"`fit` stopped at step {step}: the model is not finite; the last good checkpoint is {self.newest()}"
            )
        started = time.perf_counter()
        sync_history(self.directory / HISTORY)
        save_checkpoint(self.directory, {"state": state, "best": best, **self.fixed}, step)
        self.saved_step, self.saved_at = step, time.perf_counter()
        self.seconds = self.saved_at - started

    def newest(self) -> Path | None:
        kept = [] if self.directory is None else checkpoints(self.directory)
        return kept[-1] if kept else None

    def _may_save(self) -> bool:
        affordable = self.every is not None or time.perf_counter() - self.saved_at >= self.seconds / _SHARE
        return self.directory is not None and affordable

    def _refuse_another_run(self, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        sides = [
            {"key": np.asarray(jr.key_data(tree["state"].key)).tolist()} | {name: tree[name] for name in self.fixed}
            for tree in (found, wanted)
        ]
        for name, value in sides[0].items():
            if value != sides[1][name]:
                raise ValueError(
                    f"`fit(resume=True)` got {name} = {sides[1][name]}, but the run in {self.directory} has {value}; "
                    "pass the same, or choose another directory"
                )


def _cut(directory: Path, step: int) -> list[dict[str, Any]]:
    """Removes the rows after `step` from both files; those of the history that stay."""
    cut_history(directory / TIMING, step)
    return cut_history(directory / HISTORY, step)


@contextlib.contextmanager
def open_store(directory: str | os.PathLike | None, every: int | None, **fixed: int) -> Iterator[Store]:
    """Opens the store of a directory for this process alone.

    **Arguments:** `fixed`: numbers that have to be the same when a run goes on.
    """
    with contextlib.nullcontext() if directory is None else run_lock(directory):
        yield Store(directory, every, **fixed)
