import contextlib
import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ._names import SaveError, brief


VERSION = 2
# Of those before it, the ones that are still read.
READABLE = ("1", "2")
DTYPES = {
    "bool": "BOOL",
    **{f"{kind}int{bits}": f"{kind or 'i'}{bits}".upper() for kind in ("", "u") for bits in (8, 16, 32, 64)},
    **{"float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16"},
    **{"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"},
}

# The checksum stands at a fixed place, so that it is verified before anything else is believed.
_PREFIX = b'{"__metadata__":{"sha256":"'
_DIGEST = slice(8 + len(_PREFIX), 8 + len(_PREFIX) + 64)
# JSON takes some twenty times its length in memory; a model of a thousand layers needs half a megabyte.
_HEADER_LIMIT = 2 * 2**20


def pack(manifest: str, arrays: dict[str, np.ndarray]) -> list[bytes]:
    """Put a file together from its parts: length of the header, header, arrays."""
    # The widest items first: every array is then aligned to its item size.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, Any] = {
        "__metadata__": {"sha256": "0" * 64, "format": "zoo", "version": str(VERSION), "manifest": manifest}
    }
    start = 0
    for name in order:
        array = arrays[name]
        header[name] = {
            "dtype": DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > _HEADER_LIMIT:
        raise SaveError(f"the description takes {len(text)} bytes, more than {_HEADER_LIMIT}: too many leaves")
    parts = [len(text).to_bytes(8, "little") + text, *(arrays[name].tobytes() for name in order)]
    digest = _sha256(parts)
    parts[0] = parts[0][: _DIGEST.start] + digest + parts[0][_DIGEST.stop :]
    return parts


def unpack(path: str | os.PathLike) -> tuple[str, Any, dict[str, tuple]]:
    """Check a file, then read its version, its manifest, and each array's dtype, shape and bytes by its name."""
    data = _read(path)
    written = bytes(data[_DIGEST])
    data[_DIGEST] = b"0" * 64
    if written != _sha256([data]):
        raise SaveError("damaged: the checksum does not match, bytes were lost or changed")
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        metadata = header["__metadata__"]
        if metadata["format"] != "zoo" or metadata["version"] not in READABLE:
            found = f"format {brief(metadata['format'])} version {brief(metadata['version'])}"
            raise SaveError(
                f"the file has {found}, this release reads format 'zoo' version {' and '.join(map(repr, READABLE))}; "
                "install the release that wrote it"
            )
        manifest = json.loads(metadata["manifest"], parse_constant=_refuse_constant)
        tensors = safetensors.deserialize(bytes(data))
    except SaveError:
        raise
    except (KeyError, TypeError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise SaveError(f"malformed: {type(error).__name__} {str(error)[:100]!r}") from error
    names = {code: name for name, code in DTYPES.items()}
    return (
        metadata["version"],
        manifest,
        {name: (names.get(entry["dtype"], entry["dtype"]), entry["shape"], entry["data"]) for name, entry in tensors},
    )


def write_atomically(path: str | os.PathLike, parts: Iterable[bytes]) -> None:
    """Write a file so that at no moment it is half written: beside its place first, then renamed.

    **Arguments:** `path`: the file, whose directory must exist; `parts`: its bytes, in order.

    **Raises:** `OSError` naming the file where it cannot be written; what was there then stays.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.tmp")
    outcome = "what was there is untouched"
    try:
        try:
            # Not O_EXCL: a killed process of the same number may have left one.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
            descriptor = os.open(temporary, flags | getattr(os, "O_BINARY", 0), 0o666)
            try:
                for part in parts:
                    view = memoryview(part)
                    while view:
                        view = view[os.write(descriptor, view) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        outcome = "the new file is in place but may not survive a loss of power"
        sync_directory(path.parent)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OSError(error.errno, f"cannot write {path}: {reason}; {outcome}") from None


def sync_directory(directory: str | os.PathLike) -> None:
    """Make the names in `directory` survive a loss of power; a no-op where directories cannot be opened."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: str | os.PathLike) -> bytearray:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise SaveError("not a file")
    with open(path, "rb") as file:
        start = file.read(_DIGEST.stop)
        length = int.from_bytes(start[:8], "little")
        if len(start) < _DIGEST.stop or start[8 : _DIGEST.start] != _PREFIX:
            raise SaveError("not a file that `save` has written, or one damaged at its beginning")
        if not _DIGEST.stop <= 8 + length <= min(status.st_size, 8 + _HEADER_LIMIT):
            raise SaveError(f"damaged: a header of {length} bytes in a file of {status.st_size} bytes")
        try:
            data = bytearray(status.st_size)
            data[: len(start)] = start
            rest = file.readinto(memoryview(data)[len(start) :])
        except MemoryError:
            raise SaveError(f"{status.st_size} bytes do not fit into memory") from None
    if len(start) + rest != status.st_size:
        raise SaveError("damaged: the file ended early")
    return data


def _sha256(parts: Iterable[bytes | bytearray]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode("ascii")


def _refuse_constant(text: str) -> None:
    raise SaveError(f"malformed: {text} is not JSON")
