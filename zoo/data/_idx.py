import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8


_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31  # zlib's number for "gzip header and checksum, largest window"
_LIMIT = 1 << 28  # bytes; the largest file of the MNIST family has 47 million


def read_idx(path: str | os.PathLike, *, dimensions: int, limit: int = _LIMIT) -> UInt8[np.ndarray, " ..."]:
    """Read the array of bytes in an IDX file, the format of MNIST and its family, gzipped or plain.

    A big-endian header of 4-byte words, 0x0800 + dimensions and each axis's length, then the bytes in C
    order and nothing after them. What the file is, its first bytes say, not its name. A gzip file is
    unpacked as far as its header declares and one byte more: a bomb has no room to go off.

    **Arguments:**

    - `path`: of the file.
    - `dimensions`: how many axes the array must have: 3 for images, 1 for labels.
    - `limit`: bytes that the file, and what it unpacks to, may have.

    **Returns:** a uint8 array that owns its memory.

    **Raises:** `ValueError`, naming the file, where it is empty, no IDX file of bytes with that many axes,
    larger than `limit`, shorter or longer than its header declares, or damaged gzip. `OSError` where it
    cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > limit:
        raise ValueError(f"{path} has {size:,} bytes, more than the {limit:,} that an IDX file may have here")
    header_size = 4 + 4 * dimensions
    with path.open("rb") as file:
        head = file.read(header_size)
        if not head:
            raise ValueError(f"{path} is empty; get the file anew")
        if head.startswith(_GZIP_MAGIC):
            stream = _GzipStream(path, head + file.read(size))
            shape = _parse_header(path, stream.read(header_size), dimensions, limit)
            payload = stream.read(math.prod(shape))
            _check_length(path, len(payload), shape)
            stream.finish()
        else:
            shape = _parse_header(path, head, dimensions, limit)
            _check_length(path, size - header_size, shape)
            payload = file.read(math.prod(shape))
    return np.frombuffer(payload, np.uint8).reshape(shape).copy()


def encode_idx(array: UInt8[np.ndarray, " ..."]) -> bytes:
    """Encode an array of bytes as the contents of a plain IDX file, which `read_idx` reads back."""
    header = struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return header + array.tobytes()


def _parse_header(path: Path, header: bytes, dimensions: int, limit: int) -> tuple[int, ...]:
    if len(header) < 4 + 4 * dimensions:
        raise ValueError(
            f"{path} ends within its header: {4 + 4 * dimensions} bytes needed, {len(header)} found; get the file anew"
        )
    magic, *shape = struct.unpack(f">{1 + dimensions}I", header)
    if magic != 0x0800 + dimensions:
        raise ValueError(
            f"{path} begins with 0x{magic:08x}, an IDX file of {dimensions}-dimensional bytes with "
            f"0x{0x0800 + dimensions:08x}; is it another file under this name?"
        )
    if math.prod(shape) > limit:
        raise ValueError(
            f"{path} declares the shape {tuple(shape)}, {math.prod(shape):,} bytes, more than the {limit:,} "
            "that an IDX file may have here; get the file anew"
        )
    return tuple(shape)


def _check_length(path: Path, found: int, shape: tuple[int, ...]) -> None:
    declared = math.prod(shape)
    if found < declared:
        raise ValueError(
            f"{path} is too short: its header declares {declared:,} bytes of shape {shape}, {found:,} found; "
            "get the file anew"
        )
    if found > declared:
        raise ValueError(
            f"{path} is too long: its header declares {declared:,} bytes of shape {shape}, {found:,} found, "
            f"{found - declared:,} of them trailing; get the file anew"
        )


class _GzipStream:
    """One gzip member in memory, unpacked by as many bytes as are asked for and no further."""

    def __init__(self, path: Path, stored: bytes):
        self.path = path
        self.stream = zlib.decompressobj(_GZIP_FORMAT)
        self.rest = stored

    def read(self, size: int) -> bytes:
        """Read the next `size` bytes, or fewer where the member ends; it is an error where the *file* ends first."""
        pieces = []
        # zlib takes a limit of 0 for no limit at all: never call it with one.
        while size > 0 and not self.stream.eof:
            try:
                piece = self.stream.decompress(self.rest, size)
            except zlib.error as error:
                raise ValueError(f"{self.path} is damaged gzip: {error}; get the file anew") from None
            if not piece and not self.stream.eof:
                raise ValueError(
                    f"{self.path} is truncated gzip: {len(self.rest)} bytes left, and the end of its stream "
                    "not among them; get the file anew"
                )
            self.rest = self.stream.unconsumed_tail
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def finish(self) -> None:
        """Check that the member ends here, its checksum right, and the file with it."""
        if self.read(1):
            raise ValueError(f"{self.path} is too long: it unpacks to more than its header declares")
        if self.stream.unused_data:
            raise ValueError(
                f"{self.path} has {len(self.stream.unused_data)} trailing bytes after the gzip stream; "
                "get the file anew"
            )
