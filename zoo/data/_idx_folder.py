import re
from collections.abc import Iterable
from pathlib import Path

from ._found import Found
from ._idx import read_idx


# As the MNIST family writes it: `emnist-letters-` `train` `-images-` `idx3-ubyte` `.gz`.
_NAME = re.compile(r"(.*?)(train|t10k|test)[-_.](images|labels)[-_.]idx([13])[-_.]ubyte(?:\.gz)?", re.IGNORECASE)
_LIMIT = 1 << 30  # bytes; EMNIST's largest file has 547 million


def is_idx(name: str) -> bool:
    """Whether that is what a file of the MNIST family is called."""
    return _NAME.fullmatch(name) is not None


def read_idx_folder(path: Path, *, classes: tuple[str, ...] | None = None) -> Found:
    """Read the IDX files of the MNIST family in a folder, or those that belong to the one given.

    EMNIST's pictures lie on their side in their files, and are put upright.

    **Raises:** `ValueError` where files of several sets are there, images lack their labels or are not as many.
    """
    folder, files = (path, path.iterdir()) if path.is_dir() else (path.parent, path.parent.iterdir())
    parts = _group(files)
    if not path.is_dir():
        match = _NAME.fullmatch(path.name)
        assert match is not None
        parts = {match[1].lower(): parts[match[1].lower()]}
    if len(parts) > 1:
        one = next(iter(next(iter(parts.values())).values()))
        raise ValueError(
            f"{folder} holds IDX files of {len(parts)} sets: {', '.join(parts)}; pass the path of one file of the set, "
            f"such as {one}"
        )
    ((name, found),) = parts.items()
    notes, read = [], {}
    for split in ("train", "test"):
        if (split, "images") not in found:
            continue
        images = read_idx(found[split, "images"], dimensions=3, limit=_LIMIT)
        labels = None
        if (split, "labels") in found:
            labels = read_idx(found[split, "labels"], dimensions=1, limit=_LIMIT)
            if len(labels) != len(images):
                raise ValueError(
                    f"{found[split, 'images']} holds {len(images):,} images, {found[split, 'labels']} "
                    f"{len(labels):,} labels; there must be as many of one as of the other"
                )
        read[split] = (images.swapaxes(1, 2) if name.startswith("emnist") else images)[:, None], labels
    if not read:
        raise ValueError(f"{folder} holds labels and no images; put the file of images beside them")
    if "train" not in read:
        notes.append("only the file of test images is there: it is what is learned from")
        read = {"train": read["test"]}
    return Found(*read["train"], *read.get("test", (None, None)), kind="images", classes=classes, notes=tuple(notes))


def _group(files: Iterable[Path]) -> dict[str, dict[tuple[str, str], Path]]:
    """The files by set, split and what they hold; of one packed and plain the plain one."""
    parts: dict[str, dict[tuple[str, str], Path]] = {}
    for path in sorted(files, reverse=True):
        if match := _NAME.fullmatch(path.name):
            split = "train" if match[2].lower() == "train" else "test"
            parts.setdefault(match[1].lower(), {})[split, match[3].lower()] = path
    return dict(sorted(parts.items()))
