from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int


def even(n: int, at_most: int) -> int:
    """The size of the parts when n things are divided into as few parts of one size as `at_most` of them to a part
    allow: fewer than one thing to a part is missing.
    """
    parts = -(-n // at_most)
    return -(-n // parts)


def blocks(
    n: int, size: int, progress: str | None = None
) -> Iterator[tuple[Int[np.ndarray, " size"], Bool[np.ndarray, " size"]]]:
    """The numbers from 0 to n - 1 in blocks of one size, and which of them are not repeats.

    The last block is filled up with repeats of the last number, so that all blocks share one program.

    **Arguments:** `size`: at most so many to a block; `progress`: the progress bar's text, or `None` for no bar.
    """
    from tqdm import tqdm

    size = even(n, size)
    with tqdm(total=n, unit=" rows", desc=progress, disable=progress is None) as bar:
        for start in range(0, n, size):
            index = np.arange(start, start + size, dtype=np.int32)
            yield np.minimum(index, n - 1), index < n
            bar.update(min(size, n - start))
