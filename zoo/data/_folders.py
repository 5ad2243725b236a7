from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


_TRAIN = ("train", "training")
_TEST = ("test", "testing", "held_out", "held-out")
_VALIDATION = ("val", "valid", "validation")


class Sorted(NamedTuple):
    """What the folders say of the files in them.

    **Fields:** `train`, `test`: the numbers of the files to learn from and of those held out, `None` if no folder says
    so; `train_labels`, `test_labels`: each file's class, `None` where there are no classes; `notes`: what was decided.
    """

    train: np.ndarray
    train_labels: list[str] | None
    test: np.ndarray | None
    test_labels: list[str] | None
    notes: tuple[str, ...]


def sort_by_folders(paths: Sequence[tuple[str, ...]], class_level: int) -> Sorted:
    """Tell from the folders of files which of them are held out, and which class each belongs to.

    Folders that all files lie in say nothing. Of the others the first may be `train` and `test`; the next
    `class_level` ones are the class.

    **Arguments:** `paths`: of each file the folders that lead to it, and its name; `class_level`: how many folders make
    a class's name, 0 for no classes.
    """
    folders = [path[:-1] for path in paths]
    while all(folder and folder[0] == folders[0][0] for folder in folders):
        folders = [folder[1:] for folder in folders]
    first = [folder[0].lower() if folder else "" for folder in folders]
    notes = []
    is_train = np.array([name in _TRAIN for name in first])
    held = next((names for names in (_TEST, _VALIDATION) if is_train.any() and {*names} & {*first}), ())
    if not held:
        train_labels = _name_classes(folders, class_level, "", notes)
        return Sorted(np.arange(len(folders)), train_labels, None, None, tuple(notes))
    is_test = np.array([name in held for name in first])
    if left := Counter(folder[0] if folder else "no folder" for folder in _choose(folders, ~(is_train | is_test))):
        found = ", ".join(f"{count:,} in {name}" for name, count in left.items())
        notes.append(f"neither to learn from nor held out, and left out: {found}")
    inside_train, inside_test = ([folder[1:] for folder in _choose(folders, rows)] for rows in (is_train, is_test))
    train_labels = _name_classes(inside_train, class_level, " in train", notes)
    test_labels = train_labels and _name_classes(inside_test, class_level, f" in {held[0]}", notes, at_least=1)
    return Sorted(np.flatnonzero(is_train), train_labels, np.flatnonzero(is_test), test_labels, tuple(notes))


def _choose(folders: list[tuple[str, ...]], rows: np.ndarray) -> list[tuple[str, ...]]:
    return [folder for folder, chosen in zip(folders, rows) if chosen]


def _name_classes(
    folders: list[tuple[str, ...]], level: int, where: str, notes: list[str], at_least: int = 2
) -> list[str] | None:
    names = ["/".join(folder[:level]) for folder in folders]
    if level == 0 or len({*names}) < at_least:
        return None
    if loose := sum(len(folder) < level for folder in folders):
        notes.append(f"no classes{where}: {loose:,} of {len(folders):,} files lie in fewer folders than make a class")
        return None
    return names
