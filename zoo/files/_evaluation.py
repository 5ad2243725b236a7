import json
from pathlib import Path
from typing import Any

from ._text import write_json


# What is known of each row, beside its number; at the top of the file, that of the last command.
_MADE = ("split", "examples", "k", "seed", "data", "observe", "command", "versions")
_TOGETHER = ("split", "examples", "seed", "data", "observe")
Evaluation = dict[str, Any]
Rows = dict[str, dict[str, Any]]


def read_evaluation(run: Path) -> Evaluation:
    """What earlier commands measured of a run: its evaluation.json, or no rows where there is none.

    **Arguments:** `run`: the run's directory.

    **Returns:** a dictionary whose "metrics" are the rows: a name to its mean, standard error and unit.

    **Raises:** `ValueError` where the file is damaged.
    """
    path = run / "evaluation.json"
    if not path.exists():
        return {"metrics": {}}
    try:
        evaluation = json.loads(path.read_text())
        group_rows(evaluation)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged: {type(error).__name__} {error}; move it away and measure again"
        ) from error
    return evaluation


def add_evaluation(run: Path, evaluation: Evaluation) -> None:
    """Adds rows to a run's evaluation.json; a row of the same name is replaced.

    **Arguments:** `run`: the run's directory; `evaluation`: as `read_evaluation` returns it.
    """
    rows = complete_rows(read_evaluation(run)) | complete_rows(evaluation)
    write_json(run / "evaluation.json", evaluation | {"metrics": rows})


def complete_rows(evaluation: Evaluation) -> Rows:
    """The rows, each with all that is known of how it was measured: what it does not say itself is as at the top.

    **Arguments:** `evaluation`: as `read_evaluation` returns it.
    """
    top = {name: evaluation[name] for name in _MADE if name in evaluation}
    return {name: top | row for name, row in evaluation["metrics"].items()}


def group_rows(evaluation: Evaluation) -> list[Rows]:
    """The rows in groups that were measured on the same examples.

    **Arguments:** `evaluation`: as `read_evaluation` returns it.

    **Returns:** the groups, in the order of the first row of each.
    """
    found: dict[tuple[Any, ...], Rows] = {}
    for name, row in complete_rows(evaluation).items():
        found.setdefault(tuple(row.get(key) for key in _TOGETHER), {})[name] = row
    return list(found.values())
