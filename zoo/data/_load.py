import hashlib
import inspect
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ._arrange import arrange, kind_of
from ._arrays import read_npy, read_npz
from ._cifar import is_cifar, read_cifar
from ._data_set import DataSet, from_clothes
from ._fashion_mnist import fashion_mnist, fashion_mnist_mini
from ._found import Found, Kind
from ._idx_folder import is_idx, read_idx_folder
from ._images import IMAGE_SUFFIXES, Resize, read_images
from ._labels import number_labels
from ._published import PUBLISHED, read_published
from ._split import draw_order, split_rows
from ._tree import open_tree
from ._waves import WAVE_SUFFIXES, read_waves


_CHUNK = 1 << 24  # bytes digested together
_CLOTHES = {"fashion-mnist": fashion_mnist, "fashion-mnist-mini": fashion_mnist_mini}


def load(
    path_or_name: str | os.PathLike,
    *,
    size: int | tuple[int, ...] | None = None,
    resize: Resize = "crop",
    class_level: int = 1,
    skip_corrupt: bool = False,
    window: int | None = None,
    array: str | None = None,
    labels: str | None = None,
    kind: Kind | None = None,
    held_out: float = 0.1,
    seed: int = 0,
    download: bool = True,
    progress: bool = True,
) -> DataSet:
    """Load your own data, or a published data set, into the record that the zoo's own data come in.

    What the data are is told from what lies at the path, and said aloud:

    - a folder or a zip file of pictures (PNG, JPEG, WebP, TIFF, GIF, BMP): folders in it are classes, and `train` and
      `test` above them are splits;
    - `.npy` and `.npz`: images (n, channels, height, width) or channels last, signals (n, channels, length) or
      (n, length), rows of a table (n, size); of several arrays those that are called as examples and labels are, such
      as `x_train`, `y_train`, `x_test`, `y_test`, or `images`, `labels`;
    - a folder of IDX files, the format of MNIST, gzipped or plain, or one of its files;
    - CIFAR-10's binary files, or the archive that they come in;
    - a folder or a zip file of recordings, `.wav`, cut into windows;
    - a name: `mnist`, `kmnist`, `cifar10`, `fashion-mnist`, `fashion-mnist-mini`. It is looked for in `$ZOO_DATA`, then
      in the cache, then downloaded.

    Pixels are bytes, other numbers are as they were: nothing is scaled.

    **Arguments:**

    - `path_or_name`: a path; or a name, which comes before a path unless that is a `Path` or written as `./mnist`.
    - `size`: the height and width, or both in one number, that pictures are brought to, pixels.
    - `resize`: how: `"crop"` to the middle first, `"stretch"`, or `"pad"` with black.
    - `class_level`: how many folders name a class; 0 for no classes.
    - `skip_corrupt`: whether to go on without pictures and recordings that cannot be decoded.
    - `window`: samples of each window that recordings are cut into.
    - `array`, `labels`: what the examples and their labels are called in an `.npz` file that leaves a doubt.
    - `kind`: what arrays are, `"images"`, `"signals"` or `"vectors"`, where their shape says something else.
    - `held_out`: the part of the examples to hold out where the source holds out none.
    - `seed`: of the choice of those, and of the order of all that come file by file; the same ones come
      with every version of every library.
    - `download`: whether a published set that is found nowhere is downloaded.
    - `progress`: whether to show bars, and to say on stderr what was decided.

    **Returns:** `DataSet`, with the digest of all that is in it, and the notes that were said.

    **Raises:** `FileNotFoundError` where there is nothing, with the places tried; `ValueError`, naming the file, for
    what cannot be read or does not fit together, and for options that do not go with such data.
    """
    options = dict(
        size=size, resize=resize, class_level=class_level, skip_corrupt=skip_corrupt, window=window, array=array,
        labels=labels, kind=kind, progress=progress,
    )  # fmt: skip
    name = os.fspath(path_or_name)
    usual = {parameter.name: parameter.default for parameter in inspect.signature(load).parameters.values()}
    given = {option: value for option, value in options.items() if value != usual[option] and option != "progress"}
    is_name = isinstance(path_or_name, str)
    if is_name and name in _CLOTHES:
        _check_options(name, given, set())
        clothes = fashion_mnist(download=download, progress=progress) if name == "fashion-mnist" else _CLOTHES[name]()
        data = from_clothes(clothes)
        return data._replace(digest=_digest(data))
    if is_name and name in PUBLISHED:
        _check_options(name, given, set())
        found = read_published(name, download=download, progress=progress)
    else:
        path = Path(name).expanduser()
        read = _find_reader(path)
        takes = inspect.signature(read).parameters.keys() & options.keys()
        arranged = {"kind"} if read in (read_npy, read_npz) else set()
        _check_options(str(path), given, (takes | arranged) - {"progress"})
        found = read(path, **{option: options[option] for option in takes})
    data = _make_data_set(name, found, kind, held_out, seed)
    if progress:
        for note in data.notes:
            print(f"{name}: {note}", file=sys.stderr)
    return data


def _check_options(name: str, given: dict[str, Any], takes: set[str]) -> None:
    known = f"which takes {', '.join(sorted(takes))}" if takes else "which is as it is"
    for option in given.keys() - takes:
        raise ValueError(f"`load({option}={given[option]!r})` does not go with {name}, {known}; leave it out")


def _find_reader(path: Path) -> Callable[..., Found]:
    """What reads the data at a path.

    **Raises:** `FileNotFoundError` where nothing is there, `ValueError` with what is, where it is none of these.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist (looked for in {Path.cwd()}), and no data set has this name: "
            f"{', '.join([*_CLOTHES, *PUBLISHED])}"
        )
    names = [file.name for file in path.iterdir()] if path.is_dir() else [path.name]
    for test, read in ((is_idx, read_idx_folder), (is_cifar, read_cifar)):
        if any(map(test, names)):
            return read
    if path.is_file() and path.suffix.lower() in (".npy", ".npz"):
        return read_npy if path.suffix.lower() == ".npy" else read_npz
    with open_tree(path) as tree:
        suffixes = Counter(file.suffix for file in tree.files)
    pictures, recordings = (sum(suffixes[suffix] for suffix in some) for some in (IMAGE_SUFFIXES, WAVE_SUFFIXES))
    if pictures or recordings:
        return read_images if pictures >= recordings else read_waves
    found = ", ".join(f"{count:,} {suffix or 'without a suffix'}" for suffix, count in suffixes.most_common(5))
    raise ValueError(
        f"{path} holds no data that the zoo reads; files found: {found or 'none'}. It reads pictures "
        f"({', '.join(IMAGE_SUFFIXES)}) and recordings ({', '.join(WAVE_SUFFIXES)}) in a folder or a zip file, .npy, "
        ".npz, IDX files and CIFAR-10's binary files"
    )


def _make_data_set(name: str, found: Found, kind: Kind | None, held_out: float, seed: int) -> DataSet:
    """The record of what was found: axes in order, classes numbered, some examples held out."""
    notes = [*found.notes]
    train, more = arrange(found.train, kind or found.kind, name)
    notes += more
    test = found.test
    if test is not None:
        test, _ = arrange(test, kind or found.kind or kind_of(train), name)
        if test.shape[1:] != train.shape[1:] or test.dtype != train.dtype:
            raise ValueError(
                f"{name} has examples of {train.dtype} {train.shape[1:]} to learn from, and of {test.dtype} "
                f"{test.shape[1:]} to be held out; they must be alike"
            )
    train_labels, test_labels, classes = _number(name, found, notes)
    if test is None:
        rows, held = split_rows(len(train), held_out=held_out, seed=seed, groups=found.groups)
        train, test = train[rows], train[held]
        train_labels, test_labels = _choose(train_labels, rows), _choose(train_labels, held)
        notes.append(f"{len(held):,} of {len(held) + len(rows):,} examples are held out, by seed {seed}")
    elif found.is_sorted:
        rows, held = draw_order(len(train), seed), draw_order(len(test), seed)
        train, test = train[rows], test[held]
        train_labels, test_labels = _choose(train_labels, rows), _choose(test_labels, held)
    data = DataSet(train, test, train_labels, test_labels, classes, notes=tuple(notes))
    return data._replace(digest=_digest(data))


def _choose(labels: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if labels is None else labels[rows]


def _number(name: str, found: Found, notes: list[str]) -> tuple[Any, Any, tuple[str, ...] | None]:
    """The numbers of both parts' classes, and the classes' names."""
    if found.train_labels is None:
        return None, None, None
    parts = [np.asarray(part) for part in (found.train_labels, found.test_labels) if part is not None]
    sizes = [len(part) for part in (found.train, found.test) if part is not None]
    for part, size in zip(parts, sizes):
        if len(part) != size:
            raise ValueError(f"{name} has {size:,} examples and {len(part):,} labels; there must be as many")
    if found.classes is not None:
        numbers, classes = np.concatenate(parts).astype(np.int32), found.classes
        if numbers.max() >= len(classes):
            raise ValueError(f"{name} has the label {numbers.max()}, of classes 0 to {len(classes) - 1}")
    else:
        try:
            numbers, classes = number_labels(np.concatenate(parts))
        except ValueError as error:
            notes.append(f"labels that are no classes, left out: {error}")
            return None, None, None
    if len(parts) == 1:
        return numbers, None, classes
    return numbers[: sizes[0]], numbers[sizes[0] :], classes


def _digest(data: DataSet) -> str:
    """The sha256 of all that is in the record, whatever file it came from."""
    digest = hashlib.sha256()
    for name, part in (("train", data.train), ("test", data.test), ("ys", data.train_labels), ("yt", data.test_labels)):
        if part is None:
            continue
        digest.update(f"{name} {part.dtype.str} {part.shape} ".encode())
        step = max(_CHUNK // max(part[:1].nbytes, 1), 1)
        for start in range(0, len(part), step):
            digest.update(np.ascontiguousarray(part[start : start + step]).data)
    digest.update(repr(data.classes).encode())
    return digest.hexdigest()
