from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32


_MOST = 10_000  # classes; more of them are names of the examples


def number_labels(labels: Sequence[Any] | np.ndarray) -> tuple[Int32[np.ndarray, " n"], tuple[str, ...]]:
    """Number the classes of labels of any kind, and name them.

    Strings, whole numbers and booleans are classes in their order. A row of one 1 among 0s is one-hot: the class is
    the column of the 1.

    **Arguments:** `labels`: one to an example: a sequence, an array of shape (n,) or (n, 1), or one-hot of shape
    (n, classes).

    **Returns:** the number of each example's class, int32 of shape (n,), and what the classes are called.

    **Raises:** `ValueError` where they are no classes: real numbers, rows that are not one-hot, objects.
    """
    array: np.ndarray = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        if array.dtype.kind not in "biuf" or not (np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()):
            raise ValueError(
                f"`number_labels(labels)` needs one label to an example, got an array of shape {array.shape} whose "
                "rows are not one-hot; pass one column of it"
            )
        return np.argmax(array, axis=1).astype(np.int32), tuple(map(str, range(array.shape[1])))
    if array.ndim != 1:
        raise ValueError(f"`number_labels(labels)` needs one label to an example, got shape {array.shape}; pass (n,)")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array % 1 == 0).all()):
            raise ValueError(
                "`number_labels(labels)` needs classes, got real numbers; leave them out, or cut them into classes"
            )
        array = array.astype(np.int64)
    if array.dtype.kind not in "biuU":
        raise ValueError(
            f"`number_labels(labels)` needs strings, whole numbers or booleans, got dtype {array.dtype}; "
            "pass np.asarray(labels, str)"
        )
    names, numbers = np.unique(array, return_inverse=True)
    if len(names) > _MOST:
        raise ValueError(
            f"`number_labels(labels)` needs classes, got {len(names):,} different labels; "
            f"leave them out, or join them into {_MOST:,} at most"
        )
    return numbers.reshape(-1).astype(np.int32), tuple(str(name) for name in names.tolist())
