import math

import numpy as np

from ._found import Kind
from ._images import reduce_to_bytes


_LONG = 64  # columns of real numbers: a signal, and no row of a table
_ELONGATED = 4  # times as long as wide: channels of a signal, and no picture


def arrange(xs: np.ndarray, kind: Kind | None, call: str) -> tuple[np.ndarray, list[str]]:
    """Put the axes of examples in the order that models take, channels first, and say what was decided.

    The number of axes tells what they are: two are rows of a table, or signals where there are 64 columns of real
    numbers; three are grey pictures, or signals of several channels where one axis is four times the other; four are
    pictures. Values stay as they are; what holds bytes in another type becomes bytes.

    **Arguments:** `kind`: what they are, where the user says it; `call`: what the user called, for messages.

    **Returns:** images (n, channels, height, width), signals (n, channels, length) or vectors (n, size), and notes.

    **Raises:** `ValueError` for no examples, other numbers of axes, other types, and NaN, with the rows that have it.
    """
    if xs.ndim < 1 or math.prod(xs.shape) == 0:
        raise ValueError(f"`{call}` holds no numbers: its shape is {xs.shape}; pass data that are not empty")
    if xs.dtype.kind not in "buif" or xs.dtype.itemsize > 8:
        raise ValueError(f"`{call}` holds {xs.dtype}; pass numbers: booleans, whole numbers or floats")
    xs = xs.astype(xs.dtype.newbyteorder("="), copy=False)
    if xs.dtype.kind == "f" and not np.isfinite(xs).all():
        bad = np.flatnonzero(~np.isfinite(xs.reshape(len(xs), -1)).all(axis=1))
        first = ", ".join(map(str, bad[:5])) + (" and more" if len(bad) > 5 else "")
        raise ValueError(
            f"`{call}` has NaN or infinite numbers in {len(bad):,} of {len(xs):,} rows, {first}; take these rows out, "
            "or repair them"
        )
    if kind is not None and kind not in ("images", "signals", "vectors"):
        raise ValueError(f"`load(kind={kind!r})`: pass images, signals or vectors")
    found = kind or _recognise(xs, call)
    order = {"images": _order_images, "signals": _order_signals, "vectors": _order_vectors}[found]
    xs, notes = order(xs, call)
    xs = xs.astype(np.float32) if xs.dtype == bool else xs
    if kind is None:
        notes.insert(0, f"taken as {found}, {' x '.join(map(str, xs.shape[1:]))}; kind= (--kind) says otherwise")
    return xs, notes


def kind_of(xs: np.ndarray) -> Kind:
    """What examples whose axes are in order are: their number tells."""
    return "images" if xs.ndim == 4 else "signals" if xs.ndim == 3 else "vectors"


def _recognise(xs: np.ndarray, call: str) -> Kind:
    if xs.ndim == 2:
        return "signals" if xs.dtype.kind == "f" and xs.shape[1] >= _LONG else "vectors"
    if xs.ndim == 3:
        short, long = sorted(xs.shape[1:])
        return "signals" if long >= _ELONGATED * short and xs.dtype.kind == "f" else "images"
    if xs.ndim == 4:
        return "images"
    if xs.ndim == 1:
        return "vectors"
    raise ValueError(f"`{call}` has the shape {xs.shape}; pass (n, channels, height, width), or fewer axes")


def _order_images(xs: np.ndarray, call: str) -> tuple[np.ndarray, list[str]]:
    notes = []
    if xs.ndim == 2 and (side := math.isqrt(xs.shape[1])) ** 2 == xs.shape[1]:
        xs = xs.reshape(-1, side, side)
        notes.append(f"rows of {side * side} pixels, taken as {side} x {side}")
    if xs.ndim == 3:
        xs = xs[:, None]
    if xs.ndim != 4:
        raise ValueError(f"`{call}` has the shape {xs.shape}; images need (n, channels, height, width)")
    if xs.shape[3] < xs.shape[1]:
        xs = np.ascontiguousarray(xs.transpose(0, 3, 1, 2))
        notes.append(f"channels last, moved to the front: {' x '.join(map(str, xs.shape[1:]))}")
    xs, more = _find_bytes(xs)
    if xs.dtype == np.uint8 and xs.shape[1] not in (1, 3):
        raise ValueError(
            f"`{call}` holds bytes of {xs.shape[1]} channels, and pixels have 1 or 3; leave out the transparency, "
            "xs[..., :3], or pass floats"
        )
    return xs, notes + more


def _find_bytes(xs: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Pixels that are bytes in another type, as bytes."""
    low, high = xs.min(), xs.max()
    if xs.dtype.kind in "bui" and low == 0 and high == 1:
        return 255 * xs.astype(np.uint8), ["0 and 1, taken as black and white, 0 and 255"]
    if xs.dtype == np.uint8:
        return xs, []
    if low < 0 or high > 65535 or (xs.dtype.kind == "f" and (not 127 < high <= 255 or (xs != np.round(xs)).any())):
        return xs, []
    if high <= 255:
        return xs.astype(np.uint8), [f"{xs.dtype} from {low:g} to {high:g}, taken as bytes"]
    return reduce_to_bytes(xs), [f"{xs.dtype} up to {high:g}: 16 bits to a pixel, brought to 8"]


def _order_signals(xs: np.ndarray, call: str) -> tuple[np.ndarray, list[str]]:
    if xs.ndim == 2:
        return xs[:, None], []
    if xs.ndim != 3:
        raise ValueError(f"`{call}` has the shape {xs.shape}; signals need (n, channels, length), or (n, length)")
    if xs.shape[2] < xs.shape[1]:
        xs = np.ascontiguousarray(xs.transpose(0, 2, 1))
        return xs, [f"channels last, moved to the front: {xs.shape[1]} x {xs.shape[2]}"]
    return xs, []


def _order_vectors(xs: np.ndarray, call: str) -> tuple[np.ndarray, list[str]]:
    return xs.reshape(len(xs), -1), []
