import contextlib
import functools
import gzip
import hashlib
import http.server
import os
import re
import struct
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest

from zoo import data
from zoo.data import _download, _fashion_mnist, _places
from zoo.data._idx import encode_idx, read_idx


DEBIAN = Path("/usr/share/datasets/fashion-mnist")
NAMES = _download.FASHION_MNIST_FILES
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
LABELS = (np.arange(12) % 10).astype(np.uint8)
ARRAYS = dict(zip(NAMES, (IMAGES, LABELS, IMAGES[:5], LABELS[:5]), strict=True))

needs_originals = pytest.mark.skipif(not DEBIAN.is_dir(), reason="dataset-fashion-mnist is not installed")


def write(directory: Path, *, packed: bool = True) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, array in ARRAYS.items():
        contents = encode_idx(array)
        (directory / f"{name}.gz" if packed else directory / name).write_bytes(
            gzip.compress(contents) if packed else contents
        )
    return directory


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No Fashion-MNIST on this machine, and a cache of the test's own."""
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setattr(_fashion_mnist, "_DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(_fashion_mnist, "_cache_directory", lambda: tmp_path / "cache")
    return tmp_path


@contextlib.contextmanager
def serving(directory: Path, cut: int | None = None):
    class Handler(http.server.SimpleHTTPRequestHandler):
        requests = []

        def log_message(self, *args):
            self.requests.append(self.path)

        def copyfile(self, source, outputfile):
            outputfile.write(source.read() if cut is None else source.read()[:cut])

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", Handler.requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# IDX files


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("array", [IMAGES, LABELS, IMAGES[:0]])
def test_idx_reads_what_was_written(tmp_path, packed, array):
    path = tmp_path / "file"  # the name says nothing about the packing
    path.write_bytes(gzip.compress(encode_idx(array)) if packed else encode_idx(array))
    found = read_idx(path, dimensions=array.ndim)
    assert np.array_equal(found, array) and found.dtype == np.uint8 and found.flags.writeable


def test_idx_header_is_the_published_one():
    # Fashion-MNIST's test images begin with 0x00000803, 10,000, 28, 28.
    assert encode_idx(np.zeros((10000, 28, 28), np.uint8))[:16].hex() == "00000803000027100000001c0000001c"


@needs_originals
def test_idx_reads_the_originals():
    labels = read_idx(DEBIAN / "t10k-labels-idx1-ubyte.gz", dimensions=1)
    assert labels[:8].tolist() == [9, 2, 1, 1, 6, 1, 4, 6]
    assert np.bincount(labels).tolist() == [1000] * 10


PLAIN = encode_idx(IMAGES)
PACKED = gzip.compress(PLAIN)
FLIPPED = PACKED[:5000] + bytes([PACKED[5000] ^ 0xFF]) + PACKED[5001:]
DAMAGED = {
    "empty": (b"", "is empty"),
    "header cut": (PLAIN[:9], "ends within its header: 16 bytes needed, 9 found"),
    "packed, header cut": (gzip.compress(PLAIN[:9]), "ends within its header: 16 bytes needed, 9 found"),
    "packed nothing": (gzip.compress(b""), "ends within its header: 16 bytes needed, 0 found"),
    "bad magic": (b"\x89PNG" + PLAIN[4:], "begins with 0x89504e47, .* with 0x00000803"),
    "labels for images": (encode_idx(LABELS) + bytes(20), "begins with 0x00000801, .* with 0x00000803"),
    "packed bad magic": (gzip.compress(b"\0" * 500), "begins with 0x00000000, .* with 0x00000803"),
    "too short": (PLAIN[:-3], "too short: its header declares 9,408 bytes .* 9,405 found"),
    "packed too short": (
        gzip.compress(PLAIN[:-3]),
        "too short: its header declares 9,408 bytes .* 9,405 found",
    ),
    "too long": (
        PLAIN + b"ab",
        "too long: its header declares 9,408 bytes .* 9,410 found, 2 of them trailing",
    ),
    "packed too long": (
        gzip.compress(PLAIN + b"ab"),
        "too long: it unpacks to more than its header declares",
    ),
    "trailing after gzip": (PACKED + b"abc", "has 3 trailing bytes after the gzip stream"),
    "second member": (PACKED + gzip.compress(b"x"), "trailing bytes after the gzip stream"),
    "truncated": (PACKED[: len(PACKED) // 2], "truncated gzip"),
    "truncated in the checksum": (PACKED[:-1], "truncated gzip"),
    "only gzip's magic": (PACKED[:2], "truncated gzip"),
    "corrupt": (FLIPPED, "damaged gzip"),
    "checksum": (PACKED[:-8] + bytes(4) + PACKED[-4:], "damaged gzip: .*incorrect data check"),
    "length": (PACKED[:-4] + bytes(4), "damaged gzip: .*incorrect length check"),
    "giant": (struct.pack(">4I", 0x803, 2**32 - 1, 28, 28), "declares the shape .4294967295, 28, 28."),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_idx_is_refused_by_name(tmp_path, case):
    contents, message = DAMAGED[case]
    path = tmp_path / "some-images"
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} .*{message}"):
        read_idx(path, dimensions=3)


def test_every_truncation_and_most_bit_flips_are_refused(tmp_path):
    packed = gzip.compress(encode_idx(LABELS))
    path = tmp_path / "labels"
    for length in range(len(packed)):
        path.write_bytes(packed[:length])
        with pytest.raises(ValueError, match="labels"):
            read_idx(path, dimensions=1)
    for bit in range(8 * 10, 8 * len(packed)):  # the first ten bytes hold gzip's time and flags
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert np.array_equal(read_idx(path, dimensions=1), LABELS)  # an unused bit
        except ValueError as error:
            assert "labels" in str(error)


def test_a_bomb_does_not_go_off(tmp_path):
    """200 MB of zeros behind a header that declares 9,408 bytes."""
    path = tmp_path / "bomb"
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = stream.compress(PLAIN) + b"".join(stream.compress(bytes(1 << 20)) for _ in range(200)) + stream.flush()
    path.write_bytes(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unpacks to more than its header declares"):
            read_idx(path, dimensions=3)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_a_file_beyond_the_limit_is_not_opened(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 29)
    with pytest.raises(ValueError, match="large has 536,870,912 bytes, more than the 268,435,456"):
        read_idx(path, dimensions=3)


# Fashion-MNIST


@pytest.mark.parametrize("packed", [True, False])
def test_directory_given(tmp_path, packed):
    found = data.fashion_mnist(write(tmp_path, packed=packed))
    assert isinstance(found, data.LabelledImages)
    assert np.array_equal(found.train_images, IMAGES[:, None])
    assert np.array_equal(found.train_labels, LABELS)
    assert np.array_equal(found.test_images, IMAGES[:5, None])
    assert np.array_equal(found.test_labels, LABELS[:5])


def test_directory_given_that_lacks_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(write(tmp_path / "whole")))
    part = write(tmp_path / "part")
    (part / f"{NAMES[2]}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=rf"part lacks {NAMES[2]};"):
        data.fashion_mnist(part)
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        data.fashion_mnist(str(tmp_path / "absent"))
    with pytest.raises(FileNotFoundError, match="is not a directory"):
        data.fashion_mnist(part / f"{NAMES[0]}.gz")


def test_directories_that_do_not_fit_together(tmp_path):
    def replaced(name, array):
        directory = write(tmp_path / str(len(os.listdir(tmp_path))))
        (directory / f"{name}.gz").write_bytes(gzip.compress(encode_idx(array)))
        return directory

    with pytest.raises(ValueError, match=r"train-images\S* holds 12 images, \S*train-labels\S* 11 labels"):
        data.fashion_mnist(replaced(NAMES[1], LABELS[:11]))
    with pytest.raises(ValueError, match=r"t10k-images\S* holds 5 images, \S*t10k-labels\S* 12 labels"):
        data.fashion_mnist(replaced(NAMES[3], LABELS))
    with pytest.raises(ValueError, match=r"images of \(27, 28\) pixels, not of \(28, 28\)"):
        data.fashion_mnist(replaced(NAMES[0], IMAGES[:, 1:]))
    with pytest.raises(ValueError, match=r"labels\S* has the label 10 at index 11, of classes 0 to 9"):
        data.fashion_mnist(replaced(NAMES[1], np.append(LABELS[:11], np.uint8(10))))
    empty = replaced(NAMES[2], IMAGES[:0])
    (empty / f"{NAMES[3]}.gz").write_bytes(encode_idx(LABELS[:0]))
    with pytest.raises(ValueError, match="t10k-images.* holds no images"):
        data.fashion_mnist(empty)


def test_places_in_order(nowhere, monkeypatch):
    """Each place is used when those before it lack the files; places are told apart by their first pixel."""

    def place(directory, pixel):
        write(directory)
        marked = IMAGES.copy()
        marked[0, 0, 0] = pixel
        (directory / f"{NAMES[0]}.gz").write_bytes(gzip.compress(encode_idx(marked)))

    def found():
        return int(data.fashion_mnist(download=False).train_images[0, 0, 0, 0])

    place(nowhere / "cache", 1)
    assert found() == 1
    place(nowhere / "debian", 2)
    assert found() == 2
    monkeypatch.setenv("ZOO_DATA", str(nowhere / "mine"))
    assert found() == 2
    place(nowhere / "mine" / "fashion-mnist", 3)
    assert found() == 3
    place(nowhere / "mine", 4)
    assert found() == 4
    (nowhere / "mine" / f"{NAMES[1]}.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(ValueError, match="truncated gzip"):  # what is there and damaged is not passed over
        data.fashion_mnist()


def test_nowhere_lists_every_place(nowhere, monkeypatch):
    with pytest.raises(FileNotFoundError) as caught:
        data.fashion_mnist(download=False)
    for part in ("$ZOO_DATA is not set", "debian does not exist", "cache does not exist", "download=False"):
        assert part in str(caught.value)
    monkeypatch.setenv("ZOO_DATA", str(nowhere / "mine"))
    part = write(nowhere / "mine")
    (part / f"{NAMES[1]}.gz").unlink()
    with serving(nowhere / "mine") as (address, _), pytest.raises(FileNotFoundError) as caught:
        data.fashion_mnist(progress=False, address=address)
    assert f"mine lacks {NAMES[1]}\n" in str(caught.value)
    assert str(Path("mine") / "fashion-mnist does not exist") in str(caught.value)
    assert f"{address}: {address}{NAMES[0]}.gz has, unpacked, the sha256" in str(caught.value)
    assert "fashion_mnist_mini()" in str(caught.value)


def test_cache_directory_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(_places.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert _fashion_mnist._cache_directory() == tmp_path / "xdg" / "vae-zoo" / "fashion-mnist"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert _fashion_mnist._cache_directory() == tmp_path / ".cache" / "vae-zoo" / "fashion-mnist"
    monkeypatch.setattr(_places.sys, "platform", "darwin")
    assert _fashion_mnist._cache_directory() == tmp_path / "Library/Caches/vae-zoo/fashion-mnist"
    monkeypatch.setattr(_places.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert _fashion_mnist._cache_directory() == tmp_path / "local" / "vae-zoo" / "fashion-mnist"


# The download


@pytest.fixture
def small_originals(monkeypatch):
    digests = {name: hashlib.sha256(encode_idx(array)).hexdigest() for name, array in ARRAYS.items()}
    monkeypatch.setattr(_download, "_DIGESTS", digests)


def test_download_once(nowhere, small_originals, capsys):
    with serving(write(nowhere / "served")) as (address, requests):
        found = data.fashion_mnist(address=address)
        assert "t10k-images-idx3-ubyte: 100%" in capsys.readouterr().err  # the bar
        assert requests == [f"/{name}.gz" for name in NAMES]
        assert np.array_equal(found.train_images[:, 0], IMAGES)
        data.fashion_mnist(address=address)
        assert len(requests) == 4
        # What an interruption left out is fetched, and no more.
        (nowhere / "cache" / f"{NAMES[2]}.gz").unlink()
        data.fashion_mnist(address=address.rstrip("/"), progress=False)
        assert requests[4:] == [f"/{NAMES[2]}.gz"]
        assert capsys.readouterr().err == ""
    assert sorted(os.listdir(nowhere / "cache")) == sorted(f"{name}.gz" for name in NAMES)


def test_download_that_fails_leaves_nothing(nowhere, small_originals):
    served = write(nowhere / "served")

    def failing(message, **options):
        with serving(served, **options) as (address, _), pytest.raises(FileNotFoundError, match=message):
            data.fashion_mnist(address=address, progress=False)
        assert [name for name in os.listdir(nowhere / "cache") if "images-idx3" in name] == []

    failing(r"train-images-idx3-ubyte.gz broke off after 100 of [\d,]+ bytes", cut=100)
    other = IMAGES.copy()
    other[3, 4, 5] ^= 1
    (served / f"{NAMES[0]}.gz").write_bytes(gzip.compress(encode_idx(other)))
    failing("has, unpacked, the sha256 [0-9a-f]{64}, the original [0-9a-f]{64}")
    (served / f"{NAMES[0]}.gz").write_bytes(b"<html>captive portal</html>")
    failing("did not send an IDX file: .* begins with 0x3c68746d")
    with (served / f"{NAMES[0]}.gz").open("wb") as file:
        file.truncate(1 << 27)
    failing("offers 134,217,728 bytes, more than")
    (served / f"{NAMES[0]}.gz").unlink()
    failing("train-images-idx3-ubyte.gz answered 404")


def test_download_without_a_network(nowhere):
    with serving(nowhere) as (address, _):
        pass  # a port that was open a moment ago and is closed now
    with pytest.raises(FileNotFoundError, match=f"{address}: .*refused"):
        data.fashion_mnist(address=address)
    with pytest.raises(FileNotFoundError, match="needs an address that begins with http"):
        data.fashion_mnist(address="file:///etc/")


@needs_originals
def test_download_of_the_originals(nowhere):
    with serving(DEBIAN) as (address, _):
        found = data.fashion_mnist(address=address, progress=False)
    assert found.train_images.shape == (60000, 1, 28, 28) and found.test_images.shape == (10000, 1, 28, 28)


# The mini set


def test_mini():
    mini = data.fashion_mnist_mini()
    assert mini.train_images.shape == (6000, 1, 28, 28) and mini.test_images.shape == (1000, 1, 28, 28)
    assert all(array.dtype == np.uint8 for array in mini)
    assert np.bincount(mini.train_labels).tolist() == [600] * 10
    assert np.bincount(mini.test_labels).tolist() == [100] * 10
    assert len(data.FASHION_MNIST_CLASSES) == 10
    package = Path(data.__file__).parent
    assert sum(path.stat().st_size for path in (package / "fashion_mnist_mini").iterdir()) < 4e6
    assert "Copyright (c) 2017 Zalando SE" in (package / "fashion_mnist_mini.LICENSE").read_text()


def test_mini_loads_fast():
    def once():
        start = time.perf_counter()
        data.fashion_mnist_mini()
        return time.perf_counter() - start

    assert min(once() for _ in range(3)) < 0.3


@needs_originals
def test_mini_is_the_first_of_each_class_in_the_originals():
    mini, full = data.fashion_mnist_mini(), data.fashion_mnist(DEBIAN)
    for images, labels, all_images, all_labels, count in (
        (mini.train_images, mini.train_labels, full.train_images, full.train_labels, 600),
        (mini.test_images, mini.test_labels, full.test_images, full.test_labels, 100),
    ):
        seen = np.zeros(10, int)
        kept = []
        for i, label in enumerate(all_labels):  # brute force: walk, count, keep
            seen[label] += 1
            if seen[label] <= count:
                kept.append(i)
        assert np.array_equal(images, all_images[kept]) and np.array_equal(labels, all_labels[kept])
