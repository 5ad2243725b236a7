"""evaluation.json: a table of numbers, each with what it was measured on, how, and by which command."""

import json
from pathlib import Path
from typing import Any

from . import _run as runs


NAME = "evaluation.json"
# What is known of each row, beside its number; at the top of the file, that of the last command.
MADE = ("split", "examples", "k", "seed", "data", "observe", "command", "versions")
TOGETHER = ("split", "examples", "seed", "data", "observe")
Evaluation = dict[str, Any]


def read(run: Path) -> Evaluation:
    """What the run's earlier commands measured; nothing where there was none.

    **Raises:** `ValueError` where the file is damaged.
    """
    path = run / NAME
    if not path.exists():
        return {"metrics": {}}
    try:
        evaluation = json.loads(path.read_text())
        groups(evaluation)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged: {type(error).__name__} {error}; move it away and measure again"
        ) from error
    return evaluation


def add(run: Path, evaluation: Evaluation) -> None:
    """Writes what was measured to what is there; a row of the same name is replaced."""
    runs.write_json(run / NAME, evaluation | {"metrics": whole(read(run)) | whole(evaluation)})


def whole(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """The rows, each with all that is known of it: what it does not say itself is as at the top."""
    top = {name: evaluation[name] for name in MADE if name in evaluation}
    return {name: top | row for name, row in evaluation["metrics"].items()}


def groups(evaluation: Evaluation) -> list[dict[str, dict[str, Any]]]:
    """The rows in groups that were measured on the same examples, in the order of the first of each."""
    found: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for name, row in whole(evaluation).items():
        found.setdefault(tuple(row.get(key) for key in TOGETHER), {})[name] = row
    return list(found.values())


def examples_of(rows: dict[str, dict[str, Any]]) -> str:
    """How many examples a group of rows was measured on, and which."""
    row = next(iter(rows.values()))
    split = "training" if row.get("split") == "train" else "held-out"
    return f"{row['examples']:,} {split} examples of {row['data']}"
