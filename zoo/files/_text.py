import json
from pathlib import Path
from typing import Any

from ._file import write_atomically


def write_text(path: Path, text: str) -> None:
    """Writes the whole file or nothing, and makes its directory.

    **Arguments:** `path`: of the file; `text`: what is to be in it; half a character is written as its code.

    **Raises:** `OSError` naming the file where it cannot be written; what was there then stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror}") from None
    write_atomically(path, [text.encode("utf-8", "backslashreplace")])


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON, as `write_text` does.

    **Arguments:** `path`: of the file; `value`: of dictionaries, lists, texts and numbers.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")
