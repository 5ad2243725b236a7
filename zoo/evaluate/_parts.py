from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int


def part_size(n: int, at_most: int) -> int:
    """The smallest size of equal parts of `n` things that needs no more parts than the size `at_most` would.

    Nine things, at most four to a part, make three parts of three: parts of four would be filled up with three
    repeats, whose results are thrown away.
    """
    parts = -(-n // at_most)
    return -(-n // parts)


def equal_parts(
    n: int, at_most: int, progress: str | None = None
) -> Iterator[tuple[Int[np.ndarray, " size"], Bool[np.ndarray, " size"]]]:
    """Divide the numbers from 0 to n - 1 into parts of one size: for each part its numbers, and which are no repeats.

    The last part is filled up with repeats of the last number, so that all parts share one compiled program.

    **Arguments:** `at_most`: the largest size of a part; `progress`: the progress bar's text, or `None` for no bar.
    """
    from tqdm import tqdm

    size = part_size(n, at_most)
    with tqdm(total=n, unit=" rows", desc=progress, disable=progress is None) as bar:
        for start in range(0, n, size):
            index = np.arange(start, start + size, dtype=np.int32)
            yield np.minimum(index, n - 1), index < n
            bar.update(min(size, n - start))
