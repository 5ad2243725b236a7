import numpy as np
from jaxtyping import Int


def draw_order(n: int, seed: int) -> Int[np.ndarray, " n"]:
    """An order of n things that follows from the seed, with every version of every library."""
    # The bits of a generator are promised to stay what they are, a permutation made of them is not.
    return np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")


def split_rows(
    n: int, *, held_out: float, seed: int, groups: np.ndarray | None = None
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """Choose by a seed which of n examples are held out, the same ones with every version of every library.

    Both parts come in an order that is drawn too: files often come class by class, and the first examples are looked at
    for all. Where examples belong to groups, whole groups are held out.

    **Arguments:** `held_out`: the part to hold out, between 0 and 1; `groups`: the number of each example's group.

    **Raises:** `ValueError` where the part is no such number, or there are not two examples, or groups, to part.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"`load(held_out={held_out})` needs a part between 0 and 1; pass 0.1 for a tenth")
    if groups is None or len(np.unique(groups)) < 2:
        groups = np.arange(n)
    names, members = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"`load(held_out={held_out})` needs at least 2 examples, got {n}; pass more data")
    count = min(max(round(held_out * len(names)), 1), len(names) - 1)
    is_held = np.isin(members.reshape(-1), draw_order(len(names), seed)[:count])
    rows = draw_order(n, seed)
    return rows[~is_held[rows]], rows[is_held[rows]]
