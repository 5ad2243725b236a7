import re
import tarfile
from pathlib import Path

import numpy as np

from ._found import Found


_NAME = re.compile(r"(?:data_batch_\d+|test_batch)\.bin")
_PIXELS = 3 * 32 * 32
_LIMIT = 1 << 28  # bytes of one file; each of the originals has 31 million
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def is_cifar(name: str) -> bool:
    """Whether that is what one of CIFAR-10's binary files, or the archive of them all, is called."""
    return _NAME.fullmatch(name) is not None or name == "cifar-10-binary.tar.gz"


def read_cifar(path: Path) -> Found:
    """Read CIFAR-10's binary files in a folder, or in the archive that they come in.

    Each picture has 3,073 bytes: its label, then its red, green and blue pixels.

    **Raises:** `ValueError` where a file is damaged, or none to learn from is there.
    """
    files = _read_folder(path) if path.is_dir() else _read_archive(path)
    parts = []
    for name in ("data", "test"):
        chosen = [files[each] for each in sorted(files) if each.startswith(name)]
        rows = np.concatenate(chosen) if chosen else None
        if rows is not None and (rows[:, 0] >= len(CIFAR10_CLASSES)).any():
            raise ValueError(f"{path} has the label {rows[:, 0].max()}, of classes 0 to 9; is it another set?")
        parts += [None, None] if rows is None else [rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]]
    if parts[0] is None:
        raise ValueError(f"{path} holds no data_batch_1.bin to data_batch_5.bin; put them beside test_batch.bin")
    return Found(*parts, kind="images", classes=CIFAR10_CLASSES)


def _read_folder(path: Path) -> dict[str, np.ndarray]:
    files = [file for file in path.iterdir() if _NAME.fullmatch(file.name)]
    return {file.name: _split_rows(file, file.read_bytes()) for file in files}


def _read_archive(path: Path) -> dict[str, np.ndarray]:
    """Of an archive only what is called as the set's files are, read and never unpacked onto the disk."""
    files = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.rsplit("/", 1)[-1]
                if member.isfile() and _NAME.fullmatch(name):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    if member.size > _LIMIT:
                        raise ValueError(f"{path} holds {name} of {member.size:,} bytes, more than {_LIMIT:,}")
                    files[name] = _split_rows(f"{path}: {name}", stream.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} is a damaged archive: {error}; get the file anew") from None
    return files


def _split_rows(name: Path | str, stored: bytes) -> np.ndarray:
    if not stored or len(stored) % (1 + _PIXELS):
        raise ValueError(
            f"{name} has {len(stored):,} bytes, no multiple of the {1 + _PIXELS:,} of a picture; get the file anew"
        )
    return np.frombuffer(stored, np.uint8).reshape(-1, 1 + _PIXELS)
