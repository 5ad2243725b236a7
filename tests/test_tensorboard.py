"""The history as TensorBoard reads it."""

import struct
import sys

import jax.random as jr
import numpy as np
import pytest
from linear_gaussian import linear_gaussian

import zoo


XS = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)


def scalars(path) -> list[tuple]:
    """Tag, step and value of each scalar in an event file: records of length, checksum, `Event`, checksum."""
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportMissingImports]

    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        found += [("begins", event.step, 0.0)] * (event.session_log.status == 1)
        content = content[16 + length :]
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_number_of_the_history_is_written_and_no_step_counts_twice(tmp_path):
    pytest.importorskip("tensorboard")
    fit = lambda epochs, run: zoo.fit(
        linear_gaussian(), XS, batch_size=10, epochs=epochs, held_out=XS[:5], checkpoint=tmp_path / "run",
        resume=epochs > 1, callback=zoo.train.tensorboard(tmp_path / run), progress=False, key=jr.key(0),
    )  # fmt: skip
    first, both = fit(1, "first"), fit(2, "second")
    for run, rows in (("first", first.history), ("second", both.history[len(first.history) :])):
        (path,) = (tmp_path / run).glob("events*")
        names = lambda row: row.keys() - {"step", "epoch", "split"}
        expected = [(f"{row['split']}/{n}", row["step"], np.float32(row[n])) for row in rows for n in names(row)]
        begins = [("begins", rows[0]["step"], 0.0)]
        assert sorted(scalars(path)) == sorted(begins + expected) and len(expected) > 20


def test_a_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    with pytest.raises(ImportError, match=r"TensorBoard.*vae-zoo\[tensorboard\]"):
        zoo.train.tensorboard(tmp_path)
    assert not list(tmp_path.iterdir())
