import json
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from jaxtyping import PyTree

from ._difference import difference
from ._file import pack, unpack, write_atomically
from ._manifest import build, describe, names
from ._names import SaveError, collect_trust
from ._version_1 import upgrade


# What a description that contradicts itself can lead to while it is followed.
_NONSENSE = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, MemoryError)


def save(path: str | os.PathLike, tree: PyTree) -> None:
    """Write a model, or any tree of Modules, NamedTuples, containers, arrays and numbers, to one file.

    The file is written beside `path`, flushed to the disk and then put in its place, so that whatever
    happens there is either the old file or the new one. Its format is described in `zoo/files/FORMAT.md`.

    **Arguments:**

    - `path`: a file name, by custom ending in `.safetensors`; the directory must exist.
    - `tree`: for example a model, or `(model, optimiser_state, key, step)`. Functions are kept by name, so
      lambdas and functions made inside functions cannot be saved; `functools.partial` of a named one can.

    **Raises:** `ValueError` naming the leaf that has no form in a file; `OSError` naming the file, whose
    former content is then untouched.
    """
    try:
        arrays: dict[str, Any] = {}
        manifest = json.dumps(describe(tree, arrays), separators=(",", ":"), allow_nan=False)
        parts = pack(manifest, arrays)
    except SaveError as error:
        raise SaveError(f"`save({os.fspath(path)!r})`: {_line(error)}") from None
    except (RecursionError, ValueError) as error:
        raise SaveError(f"`save({os.fspath(path)!r})`: the tree is too deep or too large") from error
    write_atomically(path, parts)


def load(
    path: str | os.PathLike,
    *,
    like: PyTree | None = None,
    trust: Sequence[type | ModuleType | str | Any] = (),
    allow_nonfinite: bool = False,
) -> PyTree:
    """Load the tree that `save` wrote from the file alone: no constructor is called and no code in it is run.

    Classes and functions are looked up by name in `zoo`, `equinox`, `jax` and `optax`, and nowhere else.

    **Arguments:**

    - `path`: a file that `save` wrote.
    - `like`: a tree that the file has to agree with in structure, shapes, dtypes and static fields. Its
      arrays may be `jax.ShapeDtypeStruct`s, as `equinox.filter_eval_shape` makes them. The classes and
      functions in it are trusted.
    - `trust`: classes and functions of your own that the file may name; or modules, or their names, all of
      whose classes and functions it may name.
    - `allow_nonfinite`: whether arrays with NaN or infinity are accepted.

    **Raises:** `ValueError` in one line where the file is damaged, was not written by `save`, is of another
    version, names what is not trusted, or does not match the classes installed or `like`; the message has
    the place and both sides. `OSError` where it cannot be read.
    """
    try:
        version, manifest, arrays = unpack(path)
        wanted = None if like is None else describe(like, {})
        trusted = collect_trust(trust, names(wanted))
        manifest = upgrade(manifest, trusted) if version == "1" else manifest
        tree = build(manifest, arrays, trusted, finite=not allow_nonfinite)
        if arrays:
            raise SaveError(f"the file holds arrays that no leaf refers to: {str(sorted(arrays))[:200]}")
        found = None if like is None else difference(manifest, wanted)
        if found is not None:
            raise SaveError(found)
    except SaveError as error:
        raise SaveError(f"`load({os.fspath(path)!r})`: {_line(error)}") from None
    except _NONSENSE as error:
        reason = _line(f"{type(error).__name__}: {error}")
        raise SaveError(f"`load({os.fspath(path)!r})`: the description makes no sense ({reason})") from error
    return tree


def _line(message: Any) -> str:
    # Names come from the file, and may be as long as it is.
    line = " ".join(str(message).split())
    return line if len(line) <= 800 else f"{line[:400]} ... {line[-400:]}"
