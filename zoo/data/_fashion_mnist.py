import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from ._download import FASHION_MNIST_ADDRESS, FASHION_MNIST_FILES, download_fashion_mnist
from ._idx import read_idx
from ._places import cache_directory


FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


_DEBIAN = Path("/usr/share/datasets/fashion-mnist")


class LabelledImages(NamedTuple):
    """Images and their classes, in two parts.

    **Fields:**

    - `train_images`, `test_images`: bytes 0..255, of shape (n, channels, height, width).
    - `train_labels`, `test_labels`: the number of each image's class, uint8 of shape (n,).
    """

    train_images: UInt8[np.ndarray, " train channels height width"]
    train_labels: UInt8[np.ndarray, " train"]
    test_images: UInt8[np.ndarray, " test channels height width"]
    test_labels: UInt8[np.ndarray, " test"]


def fashion_mnist(
    directory: str | os.PathLike | None = None,
    *,
    download: bool = True,
    progress: bool = True,
    address: str = FASHION_MNIST_ADDRESS,
) -> LabelledImages:
    """60,000 + 10,000 photographs of clothes in ten classes, 28 x 28 grey pixels each.

    The four original IDX files, gzipped or plain, are read from `directory` if it is given; otherwise from
    the first of these places that has all four: `$ZOO_DATA` and its folder `fashion-mnist`;
    `/usr/share/datasets/fashion-mnist`, where Debian's package `dataset-fashion-mnist` puts them; the
    user's cache directory. Where none has, they are downloaded into the cache, once, from their authors'
    address. `FASHION_MNIST_CLASSES` names the classes.

    Xiao, Rasul & Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", 2017, arXiv 1708.07747.

    **Arguments:**

    - `directory`: where the files are; no other place is tried then, and nothing downloaded.
    - `download`: whether to download what is found nowhere (31 MB).
    - `progress`: whether to show a bar while downloading.
    - `address`: of a folder to download from, http or https. What comes from it must have the sha256 of
      the originals, unpacked.

    **Returns:** `LabelledImages`, with images of shape (60000, 1, 28, 28) and (10000, 1, 28, 28).

    **Raises:** `FileNotFoundError` with every place tried and what was wrong there; `ValueError`, naming
    the file, where one that was found is damaged.
    """
    if directory is not None:
        place = Path(directory)
        if reason := _describe_missing(place):
            raise FileNotFoundError(
                f"`fashion_mnist({str(directory)!r})`: {place} {reason}; pass the directory that holds "
                f"{', '.join(FASHION_MNIST_FILES)}, with or without .gz"
            )
        return read_directory(place)
    tried = []
    for place in _places():
        if not (reason := _describe_missing(place)):
            return read_directory(place)
        tried.append(f"{place} {reason}")
    if not os.environ.get("ZOO_DATA"):
        tried.insert(0, "$ZOO_DATA is not set")
    if download:
        try:
            download_fashion_mnist(_cache_directory(), address=address, progress=progress)
            return read_directory(_cache_directory())
        except (OSError, ValueError) as error:
            tried.append(f"{address}: {error}")
            cause = error
    else:
        tried.append(f"{address} was not asked, as download=False")
        cause = None
    raise FileNotFoundError(
        "`fashion_mnist()` found the four files of Fashion-MNIST nowhere:\n  - "
        + "\n  - ".join(tried)
        + "\nPut them into one of these places, pass fashion_mnist(directory), or take fashion_mnist_mini(), "
        "which needs no files"
    ) from cause


def fashion_mnist_mini() -> LabelledImages:
    """6,000 + 1,000 real images of Fashion-MNIST, which come with the package.

    The first 600 training and the first 100 test images of each class, in the order of the originals
    (classes mixed), cut by `benchmarks/make_fashion_mnist_mini.py`. Under Zalando's MIT licence, beside
    the data.

    **Returns:** `LabelledImages`, with images of shape (6000, 1, 28, 28) and (1000, 1, 28, 28).

    Xiao, Rasul & Vollgraf, "Fashion-MNIST", 2017, arXiv 1708.07747.
    """
    return read_directory(Path(__file__).with_name("fashion_mnist_mini"))


def read_directory(directory: Path) -> LabelledImages:
    """Read the four files in one directory, and check them against one another."""
    parts = []
    for images_name, labels_name in (FASHION_MNIST_FILES[:2], FASHION_MNIST_FILES[2:]):
        images_path = _find(directory, images_name) or directory / images_name
        labels_path = _find(directory, labels_name) or directory / labels_name
        images = read_idx(images_path, dimensions=3)
        labels = read_idx(labels_path, dimensions=1)
        if len(images) != len(labels):
            raise ValueError(
                f"{images_path} holds {len(images):,} images, {labels_path} {len(labels):,} labels; "
                "there must be as many of one as of the other"
            )
        if len(images) == 0:
            raise ValueError(f"{images_path} holds no images; get the file anew")
        if images.shape[1:] != (28, 28):
            raise ValueError(f"{images_path} holds images of {images.shape[1:]} pixels, not of (28, 28)")
        if labels.max() >= len(FASHION_MNIST_CLASSES):
            raise ValueError(
                f"{labels_path} has the label {labels.max()} at index {labels.argmax()}, "
                f"of classes 0 to {len(FASHION_MNIST_CLASSES) - 1}"
            )
        parts += [images[:, None], labels]
    return LabelledImages(*parts)


def _places() -> list[Path]:
    places = [_DEBIAN, _cache_directory()]
    if root := os.environ.get("ZOO_DATA"):
        places = [Path(root), Path(root) / "fashion-mnist", *places]
    return places


def _cache_directory() -> Path:
    return cache_directory("fashion-mnist")


def _describe_missing(directory: Path) -> str:
    """Describe what keeps this directory from being read, as the end of a sentence; nothing where it can be."""
    try:
        if not directory.exists():
            return "does not exist"
        if not directory.is_dir():
            return "is not a directory"
        os.listdir(directory)
        absent = [name for name in FASHION_MNIST_FILES if _find(directory, name) is None]
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return f"lacks {', '.join(absent)}" if absent else ""


def _find(directory: Path, name: str) -> Path | None:
    for path in (directory / f"{name}.gz", directory / name):
        if path.is_file():
            return path
    return None
