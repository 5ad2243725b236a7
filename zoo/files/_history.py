import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ._file import write_atomically


def append_rows(path: str | os.PathLike, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows to a history, one line of JSON each. A killed process loses none of them.

    JSON has no NaN and no infinity: they become `null`.

    **Arguments:** `path`: the file, made where it does not exist; `rows`: such as a `Fit`'s `history`.

    **Raises:** `OSError` naming the file where it cannot be written. The last line may then be torn;
    `read_history` passes over it.
    """
    lines = [_line(row) for row in rows]
    try:
        with open(path, "ab") as file:
            file.write(b"".join(lines))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OSError(error.errno, f"cannot write {os.fspath(path)}: {reason}; its whole lines are kept") from None


def write_history(path: str | os.PathLike, rows: Iterable[dict[str, Any]]) -> None:
    """Write a history as the whole of a file: a `metrics.jsonl`.

    **Arguments:** `path`: the file; `rows`: such as a `Fit`'s `history`.

    **Raises:** `OSError` naming the file where it cannot be written; what was there then stays.
    """
    write_atomically(path, [_line(row) for row in rows])


def sync_history(path: str | os.PathLike) -> None:
    """Make what was appended survive a loss of power.

    **Arguments:** `path`: the file.
    """
    with open(path, "ab") as file:
        os.fsync(file.fileno())


def read_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Read the rows in a `metrics.jsonl`, up to the first line that is torn.

    **Arguments:** `path`: the file; no rows where there is none.
    """
    return [row for _, row in _lines(path)]


def cut_history(path: str | os.PathLike, step: int) -> list[dict[str, Any]]:
    """Remove the rows of later steps from a history, and torn lines too.

    **Arguments:** `path`: the file; `step`: the last step whose rows stay.

    **Returns:** the rows that stay.
    """
    kept = [(line, row) for line, row in _lines(path) if row["step"] <= step]
    write_atomically(path, [line + b"\n" for line, _ in kept])
    return [row for _, row in kept]


def _lines(path: str | os.PathLike) -> list[tuple[bytes, dict[str, Any]]]:
    whole = []
    content = Path(path).read_bytes() if os.path.exists(path) else b""
    for line in content.split(b"\n")[:-1]:
        try:
            row = json.loads(line)
        except ValueError:
            break
        whole.append((line, {name: math.nan if value is None else value for name, value in row.items()}))
    return whole


def _line(row: dict[str, Any]) -> bytes:
    return (json.dumps({name: _to_json(value) for name, value in row.items()}, allow_nan=False) + "\n").encode("ascii")


def _to_json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
