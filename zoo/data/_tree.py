import contextlib
import lzma
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple


# What zipfile raises in reading a damaged file.
DAMAGES = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OverflowError, struct.error)


class File(NamedTuple):
    """A file of a folder or of a zip file: the folders that lead to it and its name, and how it is opened."""

    parts: tuple[str, ...]
    open: Callable[[], IO[bytes]]

    @property
    def suffix(self) -> str:
        """The end of its name from the last dot on, in lower case."""
        return os.path.splitext(self.parts[-1])[1].lower()

    def __str__(self) -> str:
        return "/".join(self.parts)


class Tree(NamedTuple):
    """The files below a folder or in a zip file, in the order of their names, and what was passed over."""

    files: list[File]
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """List the files below a folder, in a zip file, or the one file that the path is.

    Hidden files are left out. Links are followed, but for those that lead back to a folder they lie in. Nothing of a
    zip file is unpacked onto the disk.

    **Raises:** `ValueError` where the path ends in .zip and is no sound zip file, or has entries that climb out of it.
    """
    if path.is_dir():
        files, notes = [], Counter()
        _walk(path, (), (), files, notes)
        yield Tree(files, tuple(f"{count} {what}, passed over" for what, count in sorted(notes.items())))
    elif path.suffix.lower() != ".zip":
        yield Tree([File((path.name,), lambda: path.open("rb"))])
    else:
        with open_zip(path) as archive:
            yield Tree(_list_entries(path, archive))


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip file.

    **Raises:** `ValueError`, naming it, where it is none.
    """
    try:
        return zipfile.ZipFile(path)
    except (ValueError, *DAMAGES) as error:
        raise ValueError(f"{path} is no sound zip file: {error}; get the file anew") from None


def _walk(folder: Path, parts: tuple[str, ...], above: tuple[Any, ...], files: list[File], notes: Counter) -> None:
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        notes["links to a folder that they lie in"] += 1
        return
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        try:
            is_folder, is_file = path.is_dir(), path.is_file()
        except OSError:  # a link to itself
            is_folder = is_file = False
        if is_folder:
            _walk(path, (*parts, path.name), (*above, identity), files, notes)
        elif is_file:
            files.append(File((*parts, path.name), lambda path=path: path.open("rb")))
        elif path.is_symlink():
            notes["links that lead nowhere"] += 1


def _list_entries(path: Path, archive: zipfile.ZipFile) -> list[File]:
    files = []
    for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
        parts = tuple(part for part in entry.filename.replace("\\", "/").split("/") if part not in ("", "."))
        if ".." in parts or entry.filename[:1] in ("/", "\\") or entry.filename[1:2] == ":":
            raise ValueError(
                f"{path} has the entry `{entry.filename}`, which climbs out of it; no sound program makes such a file, "
                "and nothing of it was read: get the file anew"
            )
        if entry.is_dir() or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            continue
        if entry.flag_bits & 1:
            raise ValueError(f"{path} is encrypted; unpack it into a folder and pass that")
        files.append(File(parts, lambda entry=entry: archive.open(entry)))
    return files
