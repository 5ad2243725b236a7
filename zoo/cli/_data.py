import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import zoo

from . import _names as names
from ._arguments import LOADING, Train


# How many numbers of all examples together are seen in about two minutes of training on two cores, and of how few
# examples no more than 200 epochs are taken.
_SEEN = {"images": 75_000_000, "signals": 200_000_000, "vectors": 4_000_000}


def find(settings: Train, *, progress: bool = False) -> names.Entry:
    """What `--data` stands for: the zoo's own by its name, or what lies at a path, which is read.

    **Raises:** `ValueError` for no known name, and for options of loading that do not go with it; otherwise as
    `zoo.data.load`.
    """
    given = {option: getattr(settings, option) for option in LOADING}
    if settings.data in names.DATA:
        for field in dataclasses.fields(Train):
            if field.name in LOADING and given[field.name] != field.default:
                option = f"--{field.name.replace('_', '-')} {given[field.name]}"
                raise ValueError(f"`--data {settings.data} {option}`: that goes with a path of your own; leave it out")
        return names.DATA[settings.data]
    check(settings.data)
    seed = given.pop("split_seed")
    return describe(zoo.data.load(locate(settings.data), **given, seed=seed, progress=progress))


def locate(data: str | Path) -> Path:
    """Where data of one's own are, from whichever folder a run is opened later."""
    return Path(data).expanduser().resolve()


def check(name: str) -> None:
    """**Raises:** `ValueError` with the nearest name where that is no name of the zoo's, nor looks like a path."""
    path = Path(name).expanduser()
    if name not in names.DATA and not (path.exists() or path.suffix or os.sep in name or "/" in name):
        try:
            names.check("data", name, names.DATA)
        except ValueError as error:
            raise ValueError(f"{error}, or the path of your own") from None


def describe(dataset: "zoo.data.DataSet") -> names.Entry:
    """What is usual with a data set of one's own, and what it holds, as it is written down of the zoo's."""
    numbers = len(dataset.train) * math.prod(dataset.train.shape[1:])
    usual: dict[str, Any] = dict(
        epochs=min(max(_SEEN[dataset.kind] // numbers, 1), 200), batch_size=min(32, len(dataset.train))
    )
    if dataset.kind == "vectors":
        usual["latent_size"] = min(8, max(dataset.train.shape[1] // 2, 2))
        usual["observe"] = "dequantise" if zoo.data.find_grid(dataset.train).any() else "numbers"
    elif dataset.is_images and (dataset.train.min() < 0 or dataset.train.max() > 1) and dataset.train.dtype != "uint8":
        usual |= dict(likelihood="gaussian-shared", observe="scale")  # no pixels in [0, 1]
    traits = {
        "pictures": dataset.is_images,
        "labels": dataset.train_labels is not None and dataset.test_labels is not None,
        "factors": dataset.train_factors is not None,
    }
    holds = tuple(trait for trait, held in traits.items() if held)
    return names.Entry(lambda: lambda key: dataset, "", names.OF_KIND[dataset.kind] | usual, holds)


def record(dataset: "zoo.data.DataSet") -> dict[str, Any]:
    """What a run writes down of data that may change."""
    if dataset.digest is None:
        return {}
    held = {
        "digest": dataset.digest,
        "train": len(dataset.train),
        "held_out": len(dataset.test),
        "shape": dataset.train.shape[1:],
        "type": str(dataset.train.dtype),
        "classes": dataset.classes,
        "notes": dataset.notes,
    }
    return {"data": held}


def find_change(run: Path, dataset: "zoo.data.DataSet") -> str | None:
    """What to say where these are not the data that the run was trained on."""
    then, now = json.loads((run / "settings.json").read_text()).get("data"), record(dataset).get("data")
    if now is None or (then is not None and then["digest"] == now["digest"]):
        return None
    if then is None:
        return f"the data are not those that {run} was trained on, which come with the zoo"
    now = json.loads(json.dumps(now))  # tuples are lists in the file
    changed = [name for name in ("train", "held_out", "shape", "type", "classes") if then[name] != now[name]]
    differences = ", ".join(f"{name} {then[name]} is now {now[name]}" for name in changed) or "some values differ"
    return f"the data are not those that {run} was trained on: {differences}"
