from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np


Kind = Literal["images", "signals", "vectors"]


class Found(NamedTuple):
    """What a reader found at a path: before labels are numbered, axes put in order and examples held out.

    **Fields:**

    - `train`: examples along the first axis, of any type and in any order of axes.
    - `train_labels`: one to an example, of any kind, or `None`.
    - `test`, `test_labels`: the same of examples that the source itself holds out, or `None`.
    - `kind`: `"images"`, `"signals"` or `"vectors"`, where the source says which; the array's shape does otherwise.
    - `classes`: the names of labels that are numbers already, where the source has them.
    - `groups`: of each training example, what it was cut from; examples of one group are held out together.
    - `is_sorted`: whether examples come class by class, or file by file, in an order that means nothing.
    - `notes`: what the user ought to know, one sentence each.
    """

    train: np.ndarray
    train_labels: Sequence[Any] | np.ndarray | None = None
    test: np.ndarray | None = None
    test_labels: Sequence[Any] | np.ndarray | None = None
    kind: Kind | None = None
    classes: tuple[str, ...] | None = None
    groups: np.ndarray | None = None
    is_sorted: bool = False
    notes: tuple[str, ...] = ()
