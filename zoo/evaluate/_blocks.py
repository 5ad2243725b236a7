from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int


def blocks(
    n: int, size: int, progress: str | None = None
) -> Iterator[tuple[Int[np.ndarray, " size"], Bool[np.ndarray, " size"]]]:
    """The numbers from 0 to n - 1 in blocks of one size, and which of them are not repeats.

    The last block is filled up with repeats of the last number, so that all blocks share one program.

    **Arguments:** `progress`: the progress bar's text, or `None` for no bar.
    """
    from tqdm import tqdm

    size = min(size, n)
    with tqdm(total=n, unit=" rows", desc=progress, disable=progress is None) as bar:
        for start in range(0, n, size):
            index = np.arange(start, start + size, dtype=np.int32)
            yield np.minimum(index, n - 1), index < n
            bar.update(min(size, n - start))
