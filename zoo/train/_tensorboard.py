import os
import time
from collections.abc import Callable
from typing import Any


def tensorboard(directory: str | os.PathLike) -> Callable[[list[dict[str, Any]]], None]:
    """A `callback` for `fit` that writes the history where TensorBoard reads it: `train/loss`, `held_out/objective`.

    What TensorBoard already has of later steps, from a run that was stopped and goes on, it then passes over.

    **Arguments:**

    - `directory`: the directory that `tensorboard --logdir` is given, or one in it.

    **Raises:** `ImportError` where TensorBoard is not installed.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportMissingImports]
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportMissingImports]
        from tensorboard.summary.writer.event_file_writer import (  # pyright: ignore[reportMissingImports]
            EventFileWriter,
        )
    except ImportError:
        raise ImportError(
            f"`tensorboard({os.fspath(directory)!r})` needs TensorBoard, which is not installed: "
            "`pip install 'vae-zoo[tensorboard]'`"
        ) from None
    writers: list[EventFileWriter] = []

    def write(rows: list[dict[str, Any]]) -> None:
        events = [
            Event(step=row["step"], summary=Summary(value=[
                Summary.Value(tag=f"{row['split']}/{name}", simple_value=row[name])
                for name in row.keys() - {"step", "epoch", "split"}
            ]))
            for row in rows
        ]  # fmt: skip
        if not writers:
            writers.append(EventFileWriter(os.fspath(directory)))
            # Of what is there already, this step and later ones are not to be shown.
            begin = SessionLog(status=SessionLog.START)
            events.insert(0, Event(step=rows[0]["step"], session_log=begin))
        for event in events:
            event.wall_time = time.time()
            writers[0].add_event(event)
        writers[0].flush()

    return write
