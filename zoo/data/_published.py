import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ._cifar import read_cifar
from ._download import fetch
from ._found import Found
from ._idx_folder import read_idx_folder
from ._places import cache_directory


_LIMIT = 1 << 28  # bytes of one download; CIFAR-10's archive has 170 million


class Published(NamedTuple):
    """A data set that others publish: where its files are, what they are, and how they are read.

    **Fields:** `address`: of the folder that the files are in; `digests`: the sha256 of each file as it is published;
    `read`: what reads the folder that they are put into.
    """

    address: str
    digests: dict[str, str]
    read: Callable[[Path], Found]


_MNIST_CLASSES = tuple("0123456789")
_KMNIST_CLASSES = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
PUBLISHED = {
    "mnist": Published(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        lambda path: read_idx_folder(path, classes=_MNIST_CLASSES),
    ),
    "kmnist": Published(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        {
            "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
        lambda path: read_idx_folder(path, classes=_KMNIST_CLASSES),
    ),
    "cifar10": Published(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
        read_cifar,
    ),
}


def read_published(name: str, *, download: bool = True, progress: bool = True) -> Found:
    """Read a published data set from the first of its places that has all of it, or download it into the cache, once.

    The places are `$ZOO_DATA` and its folder of the set's name, and the user's cache. A folder of the unpacked binary
    files does for `cifar10` too.

    **Raises:** `FileNotFoundError` with every place tried and what was wrong there; `ValueError`, naming the file,
    where one that was found is damaged.
    """
    published, cache = PUBLISHED[name], cache_directory(name)
    root = os.environ.get("ZOO_DATA")
    tried = [] if root else ["$ZOO_DATA is not set"]
    # Files lying in $ZOO_DATA itself may be those of another set of the same family.
    for place in ([Path(root) / name] if root else []) + [cache]:
        if found := _find_files(place, published.digests):
            return published.read(found)
        tried.append(f"{place} {'lacks files' if place.is_dir() else 'does not exist'}")
    if not download:
        tried.append(f"{published.address} was not asked, as download=False")
        raise FileNotFoundError(_describe_failure(name, published, tried))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for file in published.digests:
            if not (cache / file).is_file():
                fetch(
                    f"{published.address}{file}", cache / file, check=_check_digest(published.digests[file]),
                    name=file, progress=progress, limit=_LIMIT,
                )  # fmt: skip
    except (OSError, ValueError) as error:
        tried.append(f"{published.address}: {error}")
        raise FileNotFoundError(_describe_failure(name, published, tried)) from error
    found = _find_files(cache, published.digests)
    assert found is not None
    return published.read(found)


def _find_files(place: Path, digests: dict[str, str]) -> Path | None:
    """What is to be read: the folder, or the one archive in it."""
    if len(digests) == 1:
        (name,) = digests
        unpacked = place / "cifar-10-batches-bin"
        chosen = next((path for path in (place / name, unpacked / "test_batch.bin", place / "test_batch.bin")
                       if path.is_file()), None)  # fmt: skip
        return chosen.parent if chosen and chosen.name == "test_batch.bin" else chosen
    whole = all((place / name).is_file() or (place / name.removesuffix(".gz")).is_file() for name in digests)
    return place if whole else None


def _check_digest(wanted: str) -> Callable[[Path, str, str], None]:
    def check(path: Path, url: str, name: str) -> None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != wanted:
            raise ValueError(f"{url} has the sha256 {digest}, the original {wanted}")

    return check


def _describe_failure(name: str, published: Published, tried: list[str]) -> str:
    return (
        f"the files of {name} are nowhere:\n  - " + "\n  - ".join(tried) + f"\nPut {', '.join(published.digests)} into "
        f"one of these places, $ZOO_DATA/{name} for one, or pass the path of a folder that has them"
    )
