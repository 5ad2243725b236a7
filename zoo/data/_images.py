import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from ._folders import sort_by_folders
from ._found import Found
from ._tree import File, open_tree


IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp")
Resize = Literal["crop", "stretch", "pad"]
_TRANSPOSED = (5, 6, 7, 8)  # orientations of EXIF that lay the picture on its side
_SHOWN = 5  # of a list that may be long


class _Header(NamedTuple):
    """What is known of a picture before it is decoded."""

    height: int
    width: int
    is_grey: bool
    is_transparent: bool
    is_deep: bool
    is_first_of_many: bool


def read_images(
    path: Path,
    *,
    size: int | tuple[int, ...] | None = None,
    resize: Resize = "crop",
    class_level: int = 1,
    skip_corrupt: bool = False,
    progress: bool = True,
) -> Found:
    """Read the pictures in a folder or a zip file as bytes (n, channels, height, width), one channel if all are grey.

    Cameras' rotation is undone, transparency laid over white, 16 bits are brought to 8, of several frames the first is
    taken.

    **Raises:** `ValueError` where there are none, where their sizes differ and no `size` says what to make of them,
    and, unless `skip_corrupt`, where one cannot be decoded.
    """
    with open_tree(path) as tree, warnings.catch_warnings():
        from PIL import Image

        # Pillow warns of what it can mend; of more pixels than are good for the memory it is to complain.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        files = [file for file in tree.files if file.suffix in IMAGE_SUFFIXES]
        others = Counter(file.suffix or "no suffix" for file in tree.files if file.suffix not in IMAGE_SUFFIXES)
        notes = [*tree.notes]
        if others:
            notes.append(f"files that are no pictures, passed over: {_list_counts(others)}")
        if not files:
            raise ValueError(
                f"{path} holds no pictures ({', '.join(IMAGE_SUFFIXES)}); found: {_list_counts(others) or 'nothing'}"
            )
        corrupt: list[str] = []
        headers = list(_read_all(path, files, _read_header, skip_corrupt, corrupt, "looking", progress))
        files = [file for file, header in zip(files, headers) if header is not None]
        headers = [header for header in headers if header is not None]
        if not files:
            raise ValueError(f"{path} holds no picture that can be decoded: {_shorten(corrupt)}")
        shape = _choose_shape(path, headers, size, resize)
        is_grey = all(header.is_grey for header in headers)
        notes += _describe(headers, shape, is_grey, resize)
        decode = lambda file: _decode(file, shape, is_grey, resize)
        pictures = np.empty((len(files), 1 if is_grey else 3, *shape), np.uint8)
        whole = np.ones(len(files), bool)
        for row, picture in enumerate(_read_all(path, files, decode, skip_corrupt, corrupt, "decoding", progress)):
            if picture is None:
                whole[row] = False
            else:
                pictures[row] = picture
    if not whole.all():
        files, pictures = [file for file, kept in zip(files, whole) if kept], pictures[whole]
    if corrupt:
        notes.append(f"{len(corrupt):,} pictures cannot be decoded, left out: {_shorten(corrupt)}")
    if not files:
        raise ValueError(f"{path} holds no picture that can be decoded: {_shorten(corrupt)}")
    places = sort_by_folders([file.parts for file in files], class_level)
    return Found(
        pictures if places.test is None else pictures[places.train],
        places.train_labels,
        None if places.test is None else pictures[places.test],
        places.test_labels,
        kind="images",
        is_sorted=True,
        notes=(*notes, *places.notes),
    )


def _read_all(
    path: Path,
    files: list[File],
    read: Callable[[File], Any],
    skip_corrupt: bool,
    corrupt: list[str],
    what: str,
    progress: bool,
) -> Iterator[Any]:
    """What `read` makes of each file, `None` where the file is corrupt."""
    from tqdm import tqdm

    def attempt(file: File) -> Any:
        try:
            return read(file)
        except MemoryError:
            raise
        except Exception as error:  # decoders of damaged files raise errors of every kind
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = tqdm(pool.map(attempt, files), total=len(files), desc=what, unit="", disable=not progress)
        for result, file in zip(results, files):
            if not isinstance(result, Exception):
                yield result
                continue
            reason = f"{file}: {str(result) or type(result).__name__}"
            if not skip_corrupt:
                pool.shutdown(cancel_futures=True)
                raise ValueError(
                    f"{path} holds a picture that cannot be decoded, {reason}; take it out, or pass skip_corrupt=True "
                    "(--skip-corrupt) to go on without such files"
                )
            corrupt.append(reason)
            yield None


def _read_header(file: File) -> _Header:
    from PIL import Image

    with file.open() as stream, Image.open(stream) as image:
        width, height = image.size
        if image.getexif().get(0x0112) in _TRANSPOSED:
            width, height = height, width
        if image.mode == "F":
            raise ValueError("has pixels that are real numbers; save them as an array, .npy")
        is_deep = image.mode.startswith("I")
        is_grey = is_deep or image.mode in ("1", "L", "LA", "La")
        if image.mode == "P" and image.palette is not None:
            colours = np.frombuffer(bytes(image.getpalette("RGB") or b""), np.uint8).reshape(-1, 3)
            is_grey = bool((colours == colours[:, :1]).all())
        return _Header(height, width, is_grey, image.has_transparency_data, is_deep, getattr(image, "n_frames", 1) > 1)


def _choose_shape(
    path: Path, headers: list[_Header], size: int | tuple[int, ...] | None, resize: Resize
) -> tuple[int, int]:
    if size is not None:
        shape = (size, size) if isinstance(size, int | np.integer) else tuple(size)
        if len(shape) == 1:
            shape *= 2
        if len(shape) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in shape):
            raise ValueError(f"`load(size={size})` needs pixels; pass one whole number > 0, or (height, width)")
        return int(shape[0]), int(shape[1])
    sizes = Counter((header.height, header.width) for header in headers)
    if len(sizes) == 1:
        return next(iter(sizes))
    most = ", ".join(f"{count:,} of {height} x {width}" for (height, width), count in sizes.most_common(_SHOWN))
    more = f" and {len(sizes) - _SHOWN:,} sizes more" if len(sizes) > _SHOWN else ""
    smallest = min(min(shape) for shape in sizes)
    proposed = max(min(smallest // 4 * 4, 64), 4)
    raise ValueError(
        f"{path} holds pictures of different sizes (height x width): {most}{more}; pass size={proposed} "
        f"(--size {proposed}), or another, to {resize} each to one size"
    )


def _describe(headers: list[_Header], shape: tuple[int, int], is_grey: bool, resize: Resize) -> list[str]:
    """What becomes of those pictures that are not yet as all will be."""
    how = {"crop": "cropped to the middle and resized", "stretch": "stretched", "pad": "resized and padded with black"}
    counts = {
        f"{how[resize]} to {shape[0]} x {shape[1]}": sum((h.height, h.width) != shape for h in headers),
        "are grey among coloured ones, and given three channels": sum(h.is_grey for h in headers) * (not is_grey),
        "have transparent pixels, laid over white": sum(header.is_transparent for header in headers),
        "have 16 bits to a pixel, brought to 8": sum(header.is_deep for header in headers),
        "have several frames, the first of which is taken": sum(header.is_first_of_many for header in headers),
    }
    return [f"{count:,} of {len(headers):,} pictures {what}" for what, count in counts.items() if count]


def _decode(file: File, shape: tuple[int, int], is_grey: bool, resize: Resize) -> UInt8[np.ndarray, " c height width"]:
    from PIL import Image, ImageOps

    with file.open() as stream, Image.open(stream) as opened:
        # Of a JPEG no more is decoded than twice the pixels that are wanted of each side.
        opened.draft(None, (2 * max(shape), 2 * max(shape)))
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):
            image = Image.fromarray(reduce_to_bytes(np.asarray(image)))
        elif image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("L" if is_grey else "RGB")
        size = shape[1], shape[0]
        if image.size != size:
            if resize == "crop":
                image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
            elif resize == "pad":
                image = ImageOps.pad(image, size, Image.Resampling.LANCZOS)
            else:
                image = image.resize(size, Image.Resampling.LANCZOS)
        return np.asarray(image).reshape(*shape, -1).transpose(2, 0, 1)


def reduce_to_bytes(pixels: np.ndarray) -> UInt8[np.ndarray, " ..."]:
    """Bring pixels of 16 bits to 8, each to the nearest: 65,535 becomes 255.

    **Raises:** `ValueError` where one is beyond 0..65,535.
    """
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > 65535:
        raise ValueError(f"has pixels from {low:,} to {high:,}, and not in 0..65,535; save them as an array, .npy")
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _list_counts(counts: Counter) -> str:
    return ", ".join(f"{count:,} {suffix}" for suffix, count in counts.most_common(_SHOWN))


def _shorten(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
