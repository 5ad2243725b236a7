import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from ._arguments import Train


def create(settings: Train) -> Path:
    """Makes the run directory and writes settings.json.

    **Raises:** `FileExistsError` where it exists and `--overwrite` was not given, or holds something else
    than a run.
    """
    name = f"{time.strftime('%Y-%m-%d-%H%M%S')}-{settings.model}"
    run = Path("runs") / name if settings.out is None else settings.out
    if run.exists() and not (run.is_dir() and not any(run.iterdir())):
        if not settings.overwrite:
            raise FileExistsError(f"`--out {run}` exists already; pass another --out, or --overwrite to replace it")
        if not (run / "settings.json").exists():
            raise FileExistsError(f"`--out {run} --overwrite`: that is no run directory; it is left as it is")
        shutil.rmtree(run)
    run.mkdir(parents=True, exist_ok=True)
    record = {"settings": _plain(settings), "command": command(), "versions": versions()}
    write_json(run / "settings.json", record)
    return run


def read_settings(run: Path) -> Train:
    """The settings of a run.

    **Raises:** `FileNotFoundError` or `ValueError` where the directory holds no run of this version.
    """
    path = run / "settings.json"
    if not path.exists():
        raise FileNotFoundError(f"`{run}` is no run directory: it has no settings.json; `zoo train` makes one")
    try:
        saved = json.loads(path.read_text())["settings"]
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    known = {field.name for field in dataclasses.fields(Train)}
    if set(saved) != known:
        raise ValueError(f"{path} has the settings {sorted(saved)}, this version knows {sorted(known)}")
    saved["out"] = saved["out"] and Path(saved["out"])
    return Train(**saved)


def command() -> str:
    """The command line that is running, as a person would type it."""
    return " ".join(["zoo", *sys.argv[1:]])


def versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("vae-zoo", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}


def write_json(path: Path, value: Any) -> None:
    """Writes beside the file and renames: whoever reads sees the old one or the new one, whole."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(beside, path)


class Metrics:
    """metrics.jsonl: one line of JSON per row, on disk as soon as the rows leave training."""

    def __init__(self, run: Path):
        self.path = run / "metrics.jsonl"
        self.path.touch()

    def __call__(self, rows: list[dict[str, Any]]) -> None:
        with self.path.open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def read_metrics(run: Path) -> list[dict[str, Any]]:
    with (run / "metrics.jsonl").open() as file:
        return [json.loads(line) for line in file]


def _plain(settings: Train) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in dataclasses.asdict(settings).items()
    }


MODEL = "model.safetensors"


def open_run(run: Path) -> tuple[Train, Any, Any]:
    """A run's settings, its model and its data.

    **Raises:** `FileNotFoundError` or `ValueError` where there is no run, or a damaged one.
    """
    settings = read_settings(run)
    import zoo

    from . import _build as build

    return settings, zoo.load(run / MODEL), build.dataset(settings)
