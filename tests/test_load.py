"""Your own data from a path: arrays, IDX files, CIFAR-10's files, recordings; labels of any kind; what is held out."""

import gzip
import hashlib
import io
import tarfile
import wave
import zipfile

import numpy as np
import pytest

from zoo import data
from zoo.data import _published
from zoo.data._idx import encode_idx
from zoo.data._split import split_rows


IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8)
LABELS = (np.arange(12) % 3).astype(np.uint8)
load = lambda path, **options: data.load(path, progress=False, **options)


def npy(folder, array):
    np.save(folder / "x.npy", array, allow_pickle=True)
    return folder / "x.npy"


def npz(folder, **arrays):
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


def all_of(loaded):
    return sorted(
        np.concatenate([loaded.train, loaded.test]).reshape(len(loaded.train) + len(loaded.test), -1).tolist()
    )


# Arrays


WIDE = np.random.default_rng(1).normal(size=(6, 100)).astype(np.float32)


@pytest.mark.parametrize(
    "array, kind, shape, said",
    [
        (IMAGES, "images", (1, 8, 8), ""),
        (IMAGES[:, None], "images", (1, 8, 8), ""),
        (IMAGES[..., None], "images", (1, 8, 8), "channels last, moved to the front: 1 x 8 x 8"),
        (np.stack([IMAGES] * 3, 1), "images", (3, 8, 8), "taken as images, 3 x 8 x 8; kind= (--kind) says otherwise"),
        (np.stack([IMAGES] * 3, -1), "images", (3, 8, 8), "channels last, moved to the front: 3 x 8 x 8"),
        (IMAGES.astype(">i8"), "images", (1, 8, 8), "taken as bytes"),
        (IMAGES.astype(np.float64), "images", (1, 8, 8), "float64 from 0 to 255, taken as bytes"),
        (IMAGES.astype(np.uint16) * 257, "images", (1, 8, 8), "16 bits to a pixel, brought to 8"),
        (IMAGES > 100, "images", (1, 8, 8), "0 and 1, taken as black and white"),
        (np.asfortranarray(IMAGES / np.float32(255)), "images", (1, 8, 8), ""),
        (WIDE, "signals", (1, 100), "taken as signals, 1 x 100"),
        (WIDE.reshape(6, 2, 50), "signals", (2, 50), "taken as signals, 2 x 50"),
        (WIDE.reshape(6, 50, 2), "signals", (2, 50), "channels last, moved to the front: 2 x 50"),
        (WIDE[:, :5], "vectors", (5,), "taken as vectors, 5"),
        (np.arange(600).reshape(6, 100), "vectors", (100,), "taken as vectors"),
        (np.arange(6.0), "vectors", (1,), "taken as vectors"),
    ],
)  # fmt: skip
def test_what_an_array_is_follows_from_its_axes_and_is_said(tmp_path, array, kind, shape, said):
    found = load(npy(tmp_path, array))
    assert (found.kind, found.train.shape[1:]) == (kind, shape) and found.train.dtype.isnative
    assert said in "; ".join(found.notes)
    assert len(found.train) == len(array) - 1 and len(found.test) == 1
    if kind == "images" and "black" not in said:
        levels = IMAGES / np.float32(255) if found.train.dtype == np.float32 else IMAGES
        wanted = np.broadcast_to(levels[:, None], (12, *shape)).reshape(12, -1)
        assert all_of(found) == sorted(wanted.tolist())


def test_kind_says_what_the_shape_does_not(tmp_path):
    found = load(npy(tmp_path, IMAGES.reshape(12, 64)), kind="images")
    assert found.train.shape[1:] == (1, 8, 8) and "rows of 64 pixels, taken as 8 x 8" in found.notes
    assert load(npy(tmp_path, WIDE), kind="vectors").train.shape[1:] == (100,)
    assert load(npy(tmp_path, WIDE[:, :5]), kind="signals").train.shape[1:] == (1, 5)
    with pytest.raises(ValueError, match="images need"):
        load(npy(tmp_path, WIDE[:, :5]), kind="images")


@pytest.mark.parametrize(
    "names",
    ["x_train y_train x_test y_test", "train_images train_labels test_images test_labels", "images labels - -",
     "data target - -", "train_images train_labels val_images val_labels", "imgs - - -", "stuff - - -"],
)  # fmt: skip
def test_the_names_of_an_npz_file_tell_what_is_what(tmp_path, names):
    parts = dict(zip(names.split(), (IMAGES, LABELS, IMAGES[:4], LABELS[:4])))
    parts.pop("-", None)
    found = load(npz(tmp_path, **parts))
    assert all_of(found)[:1] == sorted(IMAGES.reshape(12, -1).tolist())[:1]
    if "-" not in names:
        np.testing.assert_array_equal(found.train[:, 0], IMAGES)
        np.testing.assert_array_equal(found.test_labels, LABELS[:4])
    if len(parts) > 1:
        assert found.classes == ("0", "1", "2")
        whole = {tuple(image.ravel()): label for image, label in zip(IMAGES, LABELS)}
        assert [whole[tuple(image.ravel())] for image in found.train] == found.train_labels.tolist()


def test_what_is_ambiguous_lists_the_names(tmp_path):
    path = npz(tmp_path, images=IMAGES, data=IMAGES.reshape(12, -1), target=LABELS, feature_names=np.array(["a"]))
    with pytest.raises(ValueError, match=r"ambiguous: images or data; .*`images` uint8 \(12, 8, 8\).*`feature_names`"):
        load(path)
    found = load(path, array="images")
    assert found.classes == ("0", "1", "2") and "arrays that are not used: data, feature_names" in found.notes
    with pytest.raises(ValueError, match="no array called what examples are called.*`arr_1` float32"):
        np.savez(tmp_path / "y.npz", WIDE, WIDE)
        load(tmp_path / "y.npz")
    with pytest.raises(ValueError, match="has no such array. It holds `images`"):
        load(path, array="pictures")


class Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def test_pickled_objects_are_refused_and_never_executed(tmp_path):
    trap = np.array([Trap()], dtype=object)
    for path in (npy(tmp_path, trap), npz(tmp_path, x=trap), npz(tmp_path, x=IMAGES, y=trap)):
        with pytest.raises(ValueError, match="pickled objects, which are not read"):
            load(path)
    found = load(npz(tmp_path, x=IMAGES, metadata=trap))  # what is not used is not read
    assert "arrays that are not used: metadata" in found.notes


def test_damaged_arrays_are_named(tmp_path):
    path = npy(tmp_path, IMAGES)
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], b"\x93NUMPY" + whole[20:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="x.npy is no sound array"):
            load(path)
    for damaged in (whole[:-1], whole + b"x", whole.replace(b"(12, ", b"(9999999999, ")[: len(whole)]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="x.npy"):
            load(path)
    packed = npz(tmp_path, x=IMAGES)
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(ValueError, match="x.npz is no sound zip file"):
        load(packed)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", b"hello")
    with pytest.raises(ValueError, match="x.npz: x is no sound array"):
        load(packed)


def test_flipped_bits_and_cut_ends_give_no_other_error_than_one_that_names_the_file(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "recordings"
    for i in range(3):
        write_wave(folder / f"{i}.wav", np.arange(8))
    for path in (npy(tmp_path, IMAGES[:3, :2]), npz(tmp_path, x=IMAGES[:3, :2], y=["a", "b", "a"]), folder / "1.wav"):
        whole, source = path.read_bytes(), folder if path.suffix == ".wav" else path
        for _ in range(300):
            damaged = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.2 else whole)
            damaged[rng.integers(0, min(len(damaged), 200))] = rng.integers(0, 256)
            path.write_bytes(damaged)
            try:
                load(source)
            except ValueError as error:
                assert path.name in str(error) or str(source) in str(error)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((0, 8, 8), np.uint8), r"holds no numbers: its shape is \(0, 8, 8\)"),
        (np.zeros((5, 0, 8), np.uint8), "holds no numbers"),
        (np.float32(3.0), "holds no numbers"),
        (np.zeros((5, 4, 8, 8), np.uint8), "bytes of 4 channels, and pixels have 1 or 3"),
        (np.zeros((5, 1, 1, 1, 1)), "pass .n, channels, height, width."),
        (np.zeros((5, 2), np.complex64), "holds complex64"),
        (np.array(["a", "b"]), "holds <U1"),
    ],
)
def test_arrays_that_are_no_examples_are_refused(tmp_path, array, message):
    with pytest.raises(ValueError, match=message):
        load(npy(tmp_path, array))


def test_rows_with_nan_are_named(tmp_path):
    table = np.zeros((10, 3))
    table[[2, 7], [0, 1]] = np.nan, np.inf
    with pytest.raises(ValueError, match="NaN or infinite numbers in 2 of 10 rows, 2, 7;"):
        load(npy(tmp_path, table))


def test_parts_that_do_not_match_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`x` has the shape \(12, 8, 8\), `y` \(11,\)"):
        load(npz(tmp_path, x=IMAGES, y=LABELS[:-1]))
    with pytest.raises(ValueError, match="they must be alike"):
        load(npz(tmp_path, x_train=IMAGES, x_test=IMAGES[:, :4]))


# Labels


@pytest.mark.parametrize(
    "labels, numbers, classes",
    [
        (["dog", "cat", "dog"], [1, 0, 1], ("cat", "dog")),
        (np.array([b"b", b"a"]), [1, 0], ("a", "b")),
        ([7, 3, 7], [1, 0, 1], ("3", "7")),
        (np.array([[7], [3]], np.uint8), [1, 0], ("3", "7")),
        ([2.0, 1.0], [1, 0], ("1", "2")),
        ([True, False], [1, 0], ("False", "True")),
        (np.eye(3)[[2, 0, 2]], [2, 0, 2], ("0", "1", "2")),
        (np.eye(3, dtype=bool)[[1, 1]], [1, 1], ("0", "1", "2")),
    ],
)
def test_labels_of_any_kind_become_classes(labels, numbers, classes):
    found, names = data.number_labels(labels)
    assert found.tolist() == numbers and found.dtype == np.int32 and names == classes


@pytest.mark.parametrize("labels", [[0.5, 1.0], [np.nan], np.ones((2, 3)), np.zeros((2, 2, 2)), [None, "a"]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ValueError, match="number_labels"):
        data.number_labels(labels)


def test_targets_that_are_no_classes_are_left_out_and_said(tmp_path):
    found = load(npz(tmp_path, x=IMAGES, y=np.linspace(0, 1, 12)))
    assert found.train_labels is None and "labels that are no classes, left out" in " ".join(found.notes)


# What is held out


def test_what_is_held_out_follows_from_the_seed_and_stays_what_it_was(tmp_path):
    train, test = split_rows(20, held_out=0.25, seed=3)
    assert sorted([*train, *test]) == list(range(20)) and len(test) == 5
    assert sorted(test) == [0, 1, 4, 7, 9]  # with every version, or runs would be measured on what they learned
    path = npz(tmp_path, x=IMAGES, y=LABELS)
    first, again, other = (load(path, held_out=0.25, seed=seed) for seed in (0, 0, 1))
    assert first.digest == again.digest != other.digest
    assert "3 of 12 examples are held out, by seed 0" in first.notes and len(first.test) == 3
    for part in (0.0, 1.0, -0.1, 2.0, float("nan")):
        with pytest.raises(ValueError, match="needs a part between 0 and 1"):
            load(path, held_out=part)
    assert [len(part) for part in split_rows(2, held_out=0.01, seed=0)] == [1, 1]


def test_groups_are_held_out_together():
    groups = np.repeat(np.arange(6), 5)
    train, test = split_rows(30, held_out=0.3, seed=0, groups=groups)
    assert not {*groups[train]} & {*groups[test]} and len({*groups[test]}) == 2
    assert len(split_rows(10, held_out=0.2, seed=0, groups=np.zeros(10))[1]) == 2  # of one recording some windows


def test_the_digest_is_of_the_data_and_of_no_file(tmp_path):
    first = load(npz(tmp_path, x=IMAGES, y=LABELS)).digest
    np.savez_compressed(tmp_path / "packed.npz", images=IMAGES[..., None], labels=LABELS)
    assert load(tmp_path / "packed.npz").digest == first
    changed = IMAGES.copy()
    changed[5, 3, 3] ^= 1
    assert load(npz(tmp_path, x=changed, y=LABELS)).digest != first
    assert load(npz(tmp_path, x=IMAGES, y=1 - LABELS % 2)).digest != first


def test_the_record_says_what_it_holds(tmp_path, capsys):
    found = data.load(npz(tmp_path, x=IMAGES[..., None], y=LABELS))
    said = capsys.readouterr().err
    assert repr(found).startswith("<DataSet: 11 + 1 images of 1 x 8 x 8 uint8, 3 classes; taken as images")
    assert said.splitlines() == [f"{tmp_path / 'x.npz'}: {note}" for note in found.notes]


# IDX files and CIFAR-10's


def write_idx(folder, prefix="", packed=True, sets=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in zip(("train", "t10k"), (12, 5)):
        for what, array in (("images-idx3", IMAGES[:count]), ("labels-idx1", LABELS[:count])):
            contents = encode_idx(array)
            if name in sets:
                path = folder / f"{prefix}{name}-{what}-ubyte{'.gz' if packed else ''}"
                path.write_bytes(gzip.compress(contents) if packed else contents)
    return folder


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_of_idx_files(tmp_path, packed):
    found = load(write_idx(tmp_path, packed=packed))
    np.testing.assert_array_equal(found.train, IMAGES[:, None])
    np.testing.assert_array_equal(found.test_labels, LABELS[:5])
    assert found.classes == ("0", "1", "2") and found.notes == ()


def test_idx_files_of_several_sets_and_those_on_their_side(tmp_path):
    write_idx(tmp_path, "emnist-letters-")
    write_idx(tmp_path, "emnist-digits-")
    with pytest.raises(ValueError, match="of 2 sets: emnist-digits-, emnist-letters-; pass the path of one file"):
        load(tmp_path)
    found = load(tmp_path / "emnist-letters-train-images-idx3-ubyte.gz")
    np.testing.assert_array_equal(found.train[:, 0], IMAGES.swapaxes(1, 2))


def test_idx_files_that_are_not_all_there(tmp_path):
    found = load(write_idx(tmp_path / "test", sets=("t10k",)))
    assert len(found.train) + len(found.test) == 5 and "only the file of test images" in found.notes[0]
    folder = write_idx(tmp_path / "labels")
    for path in folder.glob("*images*"):
        path.unlink()
    with pytest.raises(ValueError, match="holds labels and no images"):
        load(folder)
    folder = write_idx(tmp_path / "short", packed=False)
    (folder / "train-labels-idx1-ubyte").write_bytes(encode_idx(LABELS[:3]))
    with pytest.raises(ValueError, match="holds 12 images.* 3 labels"):
        load(folder)


CIFAR = np.random.default_rng(2).integers(0, 256, (6, 3, 32, 32), np.uint8)


def write_cifar(folder):
    folder.mkdir(parents=True)
    rows = np.concatenate([np.arange(6, dtype=np.uint8)[:, None], CIFAR.reshape(6, -1)], axis=1)
    for name, part in (("data_batch_1", rows[:2]), ("data_batch_2", rows[2:4]), ("test_batch", rows[4:])):
        (folder / f"{name}.bin").write_bytes(part.tobytes())
    return folder


def pack_cifar(folder, archive):
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(write_cifar(folder / "cifar-10-batches-bin"), "cifar-10-batches-bin")
    return archive


def test_cifar_s_binary_files(tmp_path):
    found = load(pack_cifar(tmp_path, tmp_path / "cifar-10-binary.tar.gz"))
    np.testing.assert_array_equal(found.train, CIFAR[:4])
    assert found.test_labels.tolist() == [4, 5] and found.classes[4] == "deer"
    folder = tmp_path / "cifar-10-batches-bin"
    assert load(folder).digest == found.digest
    (folder / "data_batch_2.bin").write_bytes(b"x" * 3074)
    with pytest.raises(ValueError, match="data_batch_2.bin has 3,074 bytes, no multiple of the 3,073"):
        load(folder)
    (folder / "data_batch_2.bin").write_bytes(b"x" * 3073)
    with pytest.raises(ValueError, match="has the label 120, of classes 0 to 9"):
        load(folder)
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(archive.read_bytes()[:3000])
    with pytest.raises(ValueError, match="damaged archive"):
        load(archive)


# Names


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setattr(_published, "cache_directory", lambda name: tmp_path / "cache" / name)
    return tmp_path


def test_published_sets_are_found_by_name(nowhere, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"(?s)nowhere:.*ZOO_DATA is not set.*cache/mnist does not.*not asked"):
        load("mnist", download=False)
    write_idx(nowhere / "cache" / "mnist")
    assert len(load("mnist", download=False).classes) == 10
    monkeypatch.setenv("ZOO_DATA", str(nowhere / "mine"))
    write_idx(nowhere / "mine" / "kmnist", packed=False)
    assert load("kmnist", download=False).classes[1] == "ki"
    pack_cifar(nowhere, nowhere / "mine" / "cifar10" / "cifar-10-binary.tar.gz")
    assert load("cifar10", download=False).classes[0] == "airplane"
    with pytest.raises(ValueError, match="does not go with mnist, which is as it is"):
        load("mnist", size=8)


def test_published_sets_are_downloaded_once_and_checked(nowhere, monkeypatch):
    served = {path.name: path.read_bytes() for path in write_idx(nowhere / "served").iterdir()}
    digests = {name: hashlib.sha256(contents).hexdigest() for name, contents in served.items()}
    asked = []

    class Response(io.BytesIO):
        headers = {"Content-Length": "not said"}

    def urlopen(request, timeout):
        asked.append(request.full_url)
        return Response(served[request.full_url.rsplit("/", 1)[1]])

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    monkeypatch.setitem(_published.PUBLISHED, "mnist", _published.PUBLISHED["mnist"]._replace(digests=digests))
    assert len(load("mnist").train) == 12 and len(asked) == 4
    assert len(load("mnist").train) == 12 and len(asked) == 4
    name = "train-images-idx3-ubyte.gz"
    (nowhere / "cache" / "mnist" / name).unlink()
    served[name] = b"something else"
    with pytest.raises(FileNotFoundError, match="has the sha256 .*, the original"):
        load("mnist")
    assert not (nowhere / "cache" / "mnist" / name).exists()


def test_fashion_mnist_by_name():
    found = load("fashion-mnist-mini")
    assert len(found.train) == 6000 and found.digest and found.classes == data.FASHION_MNIST_CLASSES


# Recordings


def write_wave(path, samples, *, width=2, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.asarray(samples)
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        recording.setsampwidth(width)
        recording.setframerate(rate)
        stored = samples.astype({1: "u1", 2: "<i2", 3: "<i4", 4: "<i4"}[width])
        octets = stored.reshape(-1).view("u1").reshape(-1, stored.itemsize)
        recording.writeframes((octets[:, :3] if width == 3 else octets).tobytes())
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_recordings_of_every_width_are_in_one_range(tmp_path, width):
    half = 2 ** (8 * width - 1)
    exact = np.array([-1.0, -0.5, 0.0, 0.25])
    for i in range(2):
        write_wave(tmp_path / f"{i}.wav", exact * half + (half if width == 1 else 0), width=width)
    found = load(tmp_path)
    assert found.kind == "signals" and found.train.dtype == np.float32
    np.testing.assert_array_equal(found.train[0, 0], exact)


def test_recordings_are_cut_into_windows(tmp_path):
    for name, count in (("a", 10), ("b", 7)):
        for i in range(5):
            write_wave(tmp_path / name / f"{i}.wav", np.arange(count))
    with pytest.raises(ValueError, match=r"different lengths, in samples: 5 of 10, 5 of 7; pass window=4"):
        load(tmp_path)
    found = load(tmp_path, window=3, held_out=0.2)
    assert len(found.train) + len(found.test) == 25 and found.train.shape[1:] == (1, 3)
    assert found.classes == ("a", "b") and found.train_labels.sum() + found.test_labels.sum() == 10
    assert "10 recordings at 8,000 Hz, windows of 3 samples" in found.notes
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in sorted(tmp_path.rglob("*.wav")):
            archive.write(path, path.relative_to(tmp_path))
    assert load(tmp_path / "packed.zip", window=3, held_out=0.2).digest == found.digest
    assert load(tmp_path / "a" / "0.wav", window=2).train.shape == (4, 1, 2)
    with pytest.raises(ValueError, match="no recording in .* is as long"):
        load(tmp_path, window=11)
    with pytest.raises(ValueError, match="needs a whole number of samples"):
        load(tmp_path, window=0)
    write_wave(tmp_path / "a" / "x.wav", np.arange(9), rate=16000)
    with pytest.raises(ValueError, match="different rates: 10 of 8,000 Hz, 1 of 16,000 Hz"):
        load(tmp_path, window=3)


def test_stereo_stays_and_is_mixed_where_some_are_mono(tmp_path):
    stereo = np.arange(16).reshape(8, 2)
    for i in range(3):
        write_wave(tmp_path / f"{i}.wav", stereo)
    assert load(tmp_path).train.shape[1:] == (2, 8)
    write_wave(tmp_path / "mono.wav", np.arange(8))
    found = load(tmp_path)
    assert found.train.shape[1:] == (1, 8) and "the mean of each one's channels" in found.notes[0]


def test_a_corrupt_recording_is_named_and_skipped_if_asked(tmp_path):
    for i in range(3):
        write_wave(tmp_path / f"{i}.wav", np.arange(8))
    whole = (tmp_path / "1.wav").read_bytes()
    for damaged in (b"", whole[:-4], b"RIFX" + whole[4:]):
        (tmp_path / "1.wav").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cannot be read, 1\.wav: .*--skip-corrupt"):
            load(tmp_path)
    found = load(tmp_path, skip_corrupt=True)
    assert len(found.train) + len(found.test) == 2 and found.notes[0].startswith(
        "left out, as it cannot be read: 1.wav"
    )
