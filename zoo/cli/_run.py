import dataclasses
import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import zoo

from ._arguments import Train


def create(settings: Train, **more: Any) -> Path:
    """Makes the run directory and writes settings.json: the settings, and `more`.

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
        _empty(run)
    run.mkdir(parents=True, exist_ok=True)
    record = more | {"settings": _plain(settings), "command": command(), "versions": versions()}
    zoo.files.write_json(run / "settings.json", record)
    return run


def read_settings(run: Path, data: Path | None = None) -> Train:
    """The settings of a run; its data are at `data`, if given.

    **Raises:** `FileNotFoundError` or `ValueError` where the directory holds no run of this version.
    """
    path = run / "settings.json"
    if not path.exists():
        raise FileNotFoundError(f"`{run}` is no run directory: it has no settings.json; `zoo train` makes one")
    try:
        record = json.loads(path.read_text())
        saved, swept = record["settings"], "over" in record
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if swept:
        raise ValueError(f"`{run}` holds a sweep; name one of the runs in it")
    known = {field.name for field in dataclasses.fields(Train)} - LAUNCH
    if set(saved) != known:
        raise ValueError(f"{path} has the settings {sorted(saved)}, this version knows {sorted(known)}")
    saved["out"] = saved["out"] and Path(saved["out"])
    saved["size"] = saved["size"] and tuple(saved["size"])
    saved["data"] = saved["data"] if data is None else str(data.expanduser().resolve())
    return Train(**saved)


def read_settings_to_resume(arguments: Train) -> Train:
    """The settings of the run to go on with.

    **Raises:** `ValueError` where other options were given; otherwise as `read_settings`.
    """
    run = arguments.resume
    assert run is not None
    for field in dataclasses.fields(Train):
        value = getattr(arguments, field.name)
        if field.name not in {"resume", "data"} | LAUNCH and value != field.default:
            option = f"--{field.name.replace('_', '-')} {value}"
            raise ValueError(f"`--resume {run}` takes the settings from {run}/settings.json; leave out `{option}`")
    moved = None if arguments.data == Train().data else Path(arguments.data)
    settings = read_settings(run, moved)
    now, then = versions(), json.loads((run / "settings.json").read_text())["versions"]
    changed = ", ".join(f"{name} {then.get(name)} is now {now[name]}" for name in now if now[name] != then.get(name))
    if changed:
        print(f"{run} was begun with other versions, so its last digits may come out differently: {changed}")
    return settings


def is_finished(run: Path) -> bool:
    """Whether nothing is left to be done: the evaluation is written last."""
    return (run / MODEL).exists() and (run / "evaluation.json").exists()


def command() -> str:
    """The command line that is running, as a person would type it."""
    return shlex.join(["zoo", *sys.argv[1:]])


def versions() -> dict[str, str]:
    from importlib.metadata import version

    packages = ("vae-zoo", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}


def _empty(run: Path) -> None:
    """Take out what a run has left, unless somebody still trains there. What marks it as a run goes last."""
    with zoo.files.run_lock(run):
        for path in sorted(run.iterdir(), key=lambda path: path.name == "settings.json"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink()


def _plain(settings: Train) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in dataclasses.asdict(settings).items()
        if name not in LAUNCH
    }


MODEL = "model.safetensors"
# How one process was started, which is no part of what the run is.
LAUNCH = {"distributed", "coordinator", "processes", "process"}


def open_run(run: Path, data: Path | None = None) -> tuple[Train, Any, Any]:
    """A run's settings, its model and its data, which are at `data`, if given.

    **Raises:** `FileNotFoundError` or `ValueError` where there is no run, or a damaged one.
    """
    settings = read_settings(run, data)
    return settings, zoo.load(run / MODEL), read_data(run, settings)


def read_data(run: Path, settings: Train, data: Any = None) -> Any:
    """A run's data; says so where they have changed. `data` is what `--data` stands for, if read already."""
    from . import _build as build, _data as sources

    dataset = build.dataset(settings) if data is None else build.dataset(settings, data)
    if change := sources.find_change(run, dataset):
        print(change, file=sys.stderr)
    return dataset
