import wave
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from ._folders import sort_by_folders
from ._found import Found
from ._tree import File, open_tree


WAVE_SUFFIXES = (".wav", ".wave")


def read_waves(path: Path, *, window: int | None = None, class_level: int = 1, skip_corrupt: bool = False) -> Found:
    """Read the recordings in a folder or a zip file, cut into windows: float32 (n, channels, window) in [-1, 1].

    **Raises:** `ValueError` where there are none, one cannot be read, their rates differ, or their lengths do and no
    `window` says how many samples to cut them into.
    """
    if window is not None and not (isinstance(window, int | np.integer) and window > 0):
        raise ValueError(f"`load(window={window})` needs a whole number of samples > 0")
    notes, recordings, rates, files = [], [], [], []
    with open_tree(path) as tree:
        for file in tree.files:
            if file.suffix not in WAVE_SUFFIXES:
                continue
            try:
                rate, recording = _read_recording(file)
            except Exception as error:  # the decoder of a damaged file raises errors of every kind
                if not skip_corrupt:
                    raise ValueError(
                        f"{path} holds a recording that cannot be read, {file}: {error or 'it ends early'}; take it "
                        "out, or pass skip_corrupt=True (--skip-corrupt) to go on without such files"
                    ) from None
                notes.append(f"left out, as it cannot be read: {file}, {error or 'it ends early'}")
                continue
            files.append(file)
            rates.append(rate)
            recordings.append(recording)
        others = len(tree.files) - sum(file.suffix in WAVE_SUFFIXES for file in tree.files)
    if others:
        notes.append(f"{others:,} files that are no recordings, passed over")
    if not recordings:
        raise ValueError(f"{path} holds no recordings ({', '.join(WAVE_SUFFIXES)}) that can be read")
    if len({*rates}) > 1:
        found = ", ".join(f"{count:,} of {rate:,} Hz" for rate, count in Counter(rates).most_common(5))
        raise ValueError(f"{path} holds recordings at different rates: {found}; bring them to one")
    if len({len(recording) for recording in recordings}) > 1:
        recordings = [recording.mean(axis=0, keepdims=True) for recording in recordings]
        notes.append("recordings of different numbers of channels: the mean of each one's channels is taken")
    window = _choose_window(path, [recording.shape[1] for recording in recordings], window)
    windows = [_cut(recording, window) for recording in recordings]
    if short := sum(len(cut) == 0 for cut in windows):
        notes.append(f"{short:,} recordings are shorter than a window, and left out")
    if short == len(windows):
        raise ValueError(f"`load(window={window})`: no recording in {path} is as long; pass a shorter window")
    notes.append(f"{len(files):,} recordings at {rates[0]:,} Hz, windows of {window:,} samples")
    places = sort_by_folders([file.parts for file in files], class_level)
    rows = lambda chosen: np.concatenate([windows[i] for i in chosen])
    spread = lambda labels, chosen: labels and np.repeat(labels, [len(windows[i]) for i in chosen])
    test = places.test
    return Found(
        rows(places.train),
        spread(places.train_labels, places.train),
        None if test is None else rows(test),
        None if test is None else spread(places.test_labels, test),
        kind="signals",
        groups=np.repeat(np.arange(len(places.train)), [len(windows[i]) for i in places.train]),
        is_sorted=True,
        notes=(*notes, *places.notes),
    )


def _read_recording(file: File) -> tuple[int, Float32[np.ndarray, " channels length"]]:
    with file.open() as stream, wave.open(stream) as recording:
        channels, width, rate, length = recording.getparams()[:4]
        stored = recording.readframes(length)
    if len(stored) != length * channels * width:
        raise ValueError(f"it declares {length:,} samples, {len(stored) // (channels * width):,} are there")
    if width == 3:  # three bytes as the upper ones of four
        padded = np.zeros((len(stored) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(stored, np.uint8).reshape(-1, 3)
        samples = padded.view("<i4").reshape(-1)
        width = 4
    else:
        samples = np.frombuffer(stored, {1: "u1", 2: "<i2", 4: "<i4"}[width])
    half = 2 ** (8 * width - 1)
    values = (samples.astype(np.float64) - (half if width == 1 else 0)) / half
    return rate, values.astype(np.float32).reshape(-1, channels).T


def _choose_window(path: Path, lengths: list[int], window: int | None) -> int:
    if window is not None:
        return window
    counts = Counter(lengths)
    if len(counts) == 1 and lengths[0]:
        return lengths[0]
    found = ", ".join(f"{count:,} of {length:,}" for length, count in counts.most_common(5))
    more = f" and {len(counts) - 5:,} lengths more" if len(counts) > 5 else ""
    proposed = 2 ** int(np.log2(max(min(lengths), 2)))
    raise ValueError(
        f"{path} holds recordings of different lengths, in samples: {found}{more}; pass window={min(proposed, 4096)} "
        f"(--window {min(proposed, 4096)}), or another, to cut them into windows"
    )


def _cut(recording: np.ndarray, window: int) -> np.ndarray:
    """The windows of a recording, one behind the other; what is left at its end is dropped."""
    count = recording.shape[1] // window
    cut = recording[:, : count * window].reshape(len(recording), count, window)
    return cut.transpose(1, 0, 2)
