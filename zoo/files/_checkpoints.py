import contextlib
import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import PyTree

from ._names import SaveError
from ._save import load, save


_NAME = re.compile(r"step-(\d{1,18})\.safetensors", re.ASCII)


class Checkpoint(NamedTuple):
    """A state that was loaded from a file.

    **Fields:** `state`: what was saved; `step`: when; `skipped`: for each newer file that was passed over, the reason.
    """

    state: PyTree
    step: int
    skipped: list[str]


def save_checkpoint(directory: str | os.PathLike, state: PyTree, step: int, *, keep: int = 2) -> Path:
    """Write `state` as the checkpoint of `step`, then remove the oldest ones but `keep`.

    **Arguments:**

    - `directory`: holds `step-<number>.safetensors`; made where it does not exist.
    - `state`: any tree that `zoo.save` takes; all a run needs to go on.
    - `step`: 0 or more. Files of later steps are left alone: a run that went back behind a damaged one
      will reach them again.
    - `keep`: how many checkpoints up to this step stay, this one included; 1 or more.

    **Returns:** the file's path.

    **Raises:** `OSError` naming the file where it cannot be written; older checkpoints are then untouched.
    """
    if step < 0 or keep < 1:
        raise ValueError(f"`save_checkpoint(step={step}, keep={keep})` needs step >= 0 and keep >= 1")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"step-{step:09d}.safetensors"
    save(path, {"step": int(step), "state": state})
    for old in [path for path in checkpoints(directory) if _step(path) <= step][:-keep]:
        old.unlink(missing_ok=True)
    return path


def load_newest(
    directory: str | os.PathLike,
    *,
    like: PyTree | None = None,
    trust: Sequence[Any] = (),
    allow_nonfinite: bool = False,
) -> Checkpoint | None:
    """Load the newest checkpoint that is whole, with the reasons why newer ones were passed over.

    **Arguments:** `directory`: the run's; the others as in `zoo.load`.

    **Returns:** a `Checkpoint`, or `None` where the directory holds no checkpoint at all.

    **Raises:** `ValueError` with every reason where there are checkpoints but none can be used.
    """
    skipped = []
    for path in reversed(checkpoints(directory)):
        whole = None if like is None else {"step": 0, "state": like}
        try:
            tree = load(path, like=whole, trust=trust, allow_nonfinite=allow_nonfinite)
        except (SaveError, OSError) as error:
            skipped.append(str(error))
            continue
        if not isinstance(tree, dict) or set(tree) != {"step", "state"} or tree["step"] != _step(path):
            skipped.append(f"`load({os.fspath(path)!r})`: not the checkpoint of step {_step(path)}")
            continue
        return Checkpoint(tree["state"], tree["step"], skipped)
    if skipped:
        raise SaveError(f"no checkpoint in {os.fspath(directory)!r} can be used: " + "; ".join(skipped))
    return None


def checkpoints(directory: str | os.PathLike) -> list[Path]:
    """List the checkpoint files of a run, the oldest step first.

    **Arguments:** `directory`: the run's; no files where there is none.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted((Path(directory) / name for name in names if _NAME.fullmatch(name)), key=_step)


@contextlib.contextmanager
def run_lock(directory: str | os.PathLike) -> Iterator[None]:
    """Hold a directory for one writer, and remove what killed writers left half written.

    The operating system drops the lock when the process ends, however it ends.

    **Arguments:** `directory`: the run's.

    **Raises:** `BlockingIOError` in one line where another process or thread holds it.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, directory)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        for left in directory.glob(".*.safetensors.*.tmp"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not a POSIX system: nothing to lock with
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
        raise BlockingIOError(
            errno.EWOULDBLOCK,
            f"another run (process {holder}) writes to {directory}: let it end, or choose another directory",
        ) from None


def _step(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])
