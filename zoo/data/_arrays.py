import math
import re
import tokenize
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ._found import Found
from ._tree import DAMAGES, open_zip


_CHUNK = 1 << 24  # bytes read together
_EXAMPLES = {"x", "xs", "data", "image", "images", "img", "imgs", "signals", "examples", "features", "inputs", "pixels"}
_LABELS = {"y", "ys", "label", "labels", "target", "targets"}
_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


def read_npy(path: Path) -> Found:
    """Read the one array of an .npy file, in which pickled objects are refused."""
    with path.open("rb") as file:
        return Found(_read_array(f"{path}", file, path.stat().st_size))


def read_npz(path: Path, *, array: str | None = None, labels: str | None = None) -> Found:
    """Read the arrays of an .npz file that are called what examples and labels, to learn from and held out, are called.

    **Raises:** `ValueError` with all names and shapes where they do not tell, where examples and labels are not equally
    many, where the file is damaged, and where what is asked for is made of pickled objects, which are not executed.
    """
    with open_zip(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}

        def read(name: str) -> np.ndarray:
            try:
                with archive.open(entries[name]) as file:
                    return _read_array(f"{path}: {name}", file, entries[name].file_size)
            except (OSError, *DAMAGES) as error:
                raise ValueError(f"{path}: {name} is damaged: {error}; get the file anew") from None

        try:
            roles = _find_roles(path, list(entries), {"array": array, "labels": labels})
        except ValueError as error:
            shapes = ", ".join(_describe(name, archive, entry) for name, entry in entries.items())
            raise ValueError(f"{error}. It holds {shapes or 'nothing'}") from None
        found = {role: read(name) for role, name in roles.items()}
        unused = [name for name in entries if name not in roles.values()]
    train, test = "train", "test" if ("test", "examples") in found else "validation"
    get = lambda split, role: found.get((split, role))
    for split in (train, test):
        xs, ys = get(split, "examples"), get(split, "labels")
        if xs is not None and ys is not None and (xs.ndim == 0 or ys.ndim == 0 or len(xs) != len(ys)):
            names = roles[split, "examples"], roles[split, "labels"]
            raise ValueError(
                f"{path}: `{names[0]}` has the shape {xs.shape}, `{names[1]}` {ys.shape}; there must be as many labels "
                "as examples"
            )
    unused += [name for (split, _), name in roles.items() if split not in (train, test)]
    notes = (f"arrays that are not used: {', '.join(sorted(unused))}",) if unused else ()
    return Found(
        found[train, "examples"], get(train, "labels"), get(test, "examples"), get(test, "labels"), notes=notes
    )


def _find_roles(path: Path, names: list[str], given: dict[str, str | None]) -> dict[tuple[str, str], str]:
    """Which array holds what: of each split, which is `"train"` unless the name says otherwise, examples and labels."""
    for option, name in given.items():
        if name is not None and name not in names:
            raise ValueError(f"`load({option}={name!r})`: {path} has no such array")
    candidates: dict[tuple[str, str], list[str]] = {}
    for name in names:
        words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
        splits = [_SPLITS[word] for word in words if word in _SPLITS]
        rest = [word for word in words if word not in _SPLITS]
        role = "examples" if {*rest} & _EXAMPLES else "labels" if {*rest} & _LABELS else ""
        # `train_labels`, and also `train_image_labels`: what is said last counts.
        role = "labels" if rest and rest[-1] in _LABELS else role
        if role and (len(rest) == 1 or rest[-1] in _LABELS) and len(splits) <= 1:
            candidates.setdefault((splits[0] if splits else "train", role), []).append(name)
    for option, role in (("array", "examples"), ("labels", "labels")):
        if given[option] is not None:
            candidates["train", role] = [str(given[option])]
    if given["array"] is not None:  # its own held-out examples are not known
        candidates = {place: found for place, found in candidates.items() if place[0] == "train"}
    if ("train", "examples") not in candidates:
        if len(names) != 1:
            raise ValueError(
                f"{path} has no array called what examples are called (x_train, images, data); "
                "pass array= and labels= (--array, --labels)"
            )
        candidates = {("train", "examples"): names}
    for found in candidates.values():
        if len(found) > 1:
            raise ValueError(f"{path} is ambiguous: {' or '.join(found)}; pass array= and labels= (--array, --labels)")
    return {place: found[0] for place, found in candidates.items()}


def _describe(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    try:
        with archive.open(entry) as file:
            shape, _, dtype = _read_header(file)
    except Exception:  # damaged, or no array: it is named all the same
        return f"`{name}`"
    return f"`{name}` {dtype} {shape}"


def _read_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it has the format {version}, which is not read here; save it by np.save")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _read_array(name: str, file: Any, size: int) -> np.ndarray:
    """One array, if its header declares as much as the file holds: nothing is set aside for it before."""
    try:
        shape, is_fortran, dtype = _read_header(file)
    except (ValueError, SyntaxError, tokenize.TokenError, *DAMAGES) as error:
        raise ValueError(f"{name} is no sound array of NumPy's: {error}; save it by np.save anew") from None
    if dtype.hasobject:
        raise ValueError(
            f"{name} holds pickled objects, which are not read, as reading them executes what is in them; "
            "save an array of numbers, or of strings by np.asarray(labels, str)"
        )
    declared, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if declared != held:
        raise ValueError(
            f"{name} declares {declared:,} bytes of shape {shape} and {dtype}, {held:,} are there; get the file anew"
        )
    stored = np.empty(declared, np.uint8)
    for start in range(0, declared, _CHUNK):
        chunk = file.read(min(_CHUNK, declared - start))
        if len(chunk) < min(_CHUNK, declared - start):
            raise ValueError(f"{name} ended while it was read, after {start + len(chunk):,} of {declared:,} bytes")
        stored[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
    return stored.view(dtype).reshape(shape, order="F" if is_fortran else "C")
