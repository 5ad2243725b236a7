"""Folders and zip files of pictures: of every format and mode, of sizes that differ, with classes and splits."""

import os
import warnings
import zipfile

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from zoo import data


RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
COLOURS = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)
load = lambda path, **options: data.load(path, progress=False, **options)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def write_pictures(folder, count=4, image=RAMP):
    for i in range(count):
        save(folder / f"{i}.png", (image + np.uint8(i)).astype(np.uint8))
    return folder


def all_of(loaded):
    """The examples in the order of their files."""
    return np.concatenate([loaded.train, loaded.test])


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "tif", "bmp", "gif", "PNG"])
def test_lossless_formats_come_as_they_are(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    for i in range(3):
        image = Image.fromarray(RAMP)
        save(tmp_path / f"{i}.{suffix}", image if suffix != "webp" else image.convert("RGB"), **options)
    found = load(tmp_path)
    assert found.kind == "images" and found.train.dtype == np.uint8 and len(found.train) == 2 and len(found.test) == 1
    np.testing.assert_array_equal(all_of(found)[0, 0], RAMP)


def test_jpeg_is_near(tmp_path):
    for i in range(2):
        save(tmp_path / f"{i}.jpeg", COLOURS, quality=95, subsampling=0)
    found = all_of(load(tmp_path))
    assert found.shape == (2, 3, 8, 8) and np.abs(found[0].astype(int) - COLOURS.transpose(2, 0, 1)).max() < 40


def test_a_large_jpeg_that_is_decoded_in_part_is_as_the_whole_of_it(tmp_path):
    large = Image.fromarray(COLOURS).resize((400, 300), Image.Resampling.BICUBIC)
    save(tmp_path / "a.png", large)
    save(tmp_path / "b.jpg", large, quality=98, subsampling=0)
    a, b = (part[0].astype(int) for part in (lambda found: (found.train, found.test))(load(tmp_path, size=(12, 16))))
    assert np.abs(a - b).max() < 10


def palette(transparent):
    image = Image.fromarray(COLOURS).quantize(8)
    if transparent:
        image.info["transparency"] = image.getpixel((0, 0))
    return image


MODES = {
    "1": (Image.fromarray(RAMP > 100), 1, lambda: 255 * (RAMP > 100)),
    "L": (Image.fromarray(RAMP), 1, lambda: RAMP),
    "16 bits": (Image.fromarray(RAMP.astype(np.uint16) * 257), 1, lambda: RAMP),
    "LA": (Image.merge("LA", [Image.fromarray(RAMP), Image.new("L", (8, 8), 255)]), 1, lambda: RAMP),
    "RGB": (Image.fromarray(COLOURS), 3, lambda: COLOURS),
    "RGBA": (Image.merge("RGBA", [*Image.fromarray(COLOURS).split(), Image.new("L", (8, 8), 0)]), 3, lambda: 255),
    "P": (palette(False), 3, lambda: np.asarray(palette(False).convert("RGB"))),
    "grey P": (Image.fromarray(RAMP).convert("P"), 1, lambda: RAMP),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_bytes_of_one_or_three_channels(tmp_path, mode):
    image, channels, expected = MODES[mode]
    for i in range(2):
        save(tmp_path / f"{i}.png", image)
    found = all_of(load(tmp_path))
    assert found.shape == (2, channels, 8, 8) and found.dtype == np.uint8
    wanted = np.broadcast_to(np.asarray(expected()).reshape(-1, *np.shape(expected())[2:]).T, (channels, 64)) \
        if np.ndim(expected()) else np.full((channels, 64), expected())  # fmt: skip
    np.testing.assert_array_equal(found[0].reshape(channels, -1), wanted)


def test_transparency_is_laid_over_white_and_said(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", palette(True), transparency=palette(True).info["transparency"])
    found = load(tmp_path)
    assert all_of(found)[0, :, 0, 0].tolist() == [255, 255, 255]
    assert "3 of 3 pictures have transparent pixels, laid over white" in found.notes


def test_grey_among_coloured_is_given_three_channels(tmp_path):
    save(tmp_path / "a.png", RAMP)
    save(tmp_path / "b.png", COLOURS)
    found = load(tmp_path)
    assert all_of(found).shape == (2, 3, 8, 8)
    assert any(note.startswith("1 of 2 pictures are grey among coloured ones") for note in found.notes)


def test_the_camera_s_rotation_is_undone(tmp_path):
    upright = np.asarray(Image.fromarray(COLOURS).resize((8, 16)))
    save(tmp_path / "a.png", upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    save(tmp_path / "b.png", np.rot90(upright).copy(), exif=exif)
    found = all_of(load(tmp_path))
    np.testing.assert_array_equal(found[0], found[1])


def test_sizes_that_differ_are_listed_and_brought_to_one(tmp_path):
    for i, shape in enumerate([(20, 30), (20, 30), (40, 24)]):
        save(tmp_path / f"{i}.png", np.full(shape, 50 * i, np.uint8))
    with pytest.raises(ValueError, match=r"2 of 20 x 30, 1 of 40 x 24; pass size=20 \(--size 20\)"):
        load(tmp_path)
    found = load(tmp_path, size=12)
    assert all_of(found).shape == (3, 1, 12, 12)
    assert "3 of 3 pictures cropped to the middle and resized to 12 x 12" in found.notes
    assert load(tmp_path, size=(8, 16)).train.shape[1:] == (1, 8, 16)
    assert load(tmp_path, size=(9,)).train.shape[1:] == (1, 9, 9)
    for size in (0, -3, (4, 0), (1, 2, 3)):
        with pytest.raises(ValueError, match="needs pixels"):
            load(tmp_path, size=size)


def test_resizing_crops_stretches_or_pads(tmp_path):
    striped = np.repeat(np.array([0] * 8 + [200] * 8 + [0] * 8, np.uint8)[None], 8, axis=0)  # 8 x 24, bright middle
    for i in range(2):
        save(tmp_path / f"{i}.png", striped)
    get = lambda resize: all_of(load(tmp_path, size=8, resize=resize))[0, 0]
    assert (get("crop") == 200).all()
    assert get("stretch")[0, 0] < 50 and get("stretch")[0, 4] > 150
    assert (get("pad")[0] == 0).all() and get("pad")[4, 4] > 150


def test_folders_are_classes_and_splits(tmp_path):
    for split, count in (("train", 3), ("test", 1)):
        for name in ("cats", "dogs"):
            write_pictures(tmp_path / "pets" / split / name, count)
    write_pictures(tmp_path / "pets" / "train" / "cats" / "young", 1)
    found = load(tmp_path / "pets")
    assert found.classes == ("cats", "dogs") and len(found.train) == 7
    assert sorted(found.train_labels) == [0] * 4 + [1] * 3 and sorted(found.test_labels) == [0, 1]
    assert load(tmp_path).classes == found.classes  # what all lie in says nothing
    assert load(tmp_path, class_level=0).classes is None
    deep = load(tmp_path, class_level=2)
    assert deep.classes is None and "6 of 7 files lie in fewer folders" in " ".join(deep.notes)


@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_classes_are_mixed_so_that_the_first_examples_are_of_all(tmp_path, splits):
    for split in splits:
        for i, name in enumerate(("cats", "dogs")):
            write_pictures(tmp_path / split / name, 30, np.full((4, 4), 100 * i, np.uint8))
    found = load(tmp_path, held_out=0.5)
    for xs, labels in ((found.train, found.train_labels), (found.test, found.test_labels)):
        assert {*labels[:8].tolist()} == {0, 1}
        np.testing.assert_array_equal(xs[:, 0, 0, 0] >= 100, labels == 1)
    assert load(tmp_path, held_out=0.5).digest == found.digest != load(tmp_path, held_out=0.5, seed=1).digest


def test_validation_is_held_out_where_there_is_no_test_and_left_out_where_there_is(tmp_path):
    write_pictures(tmp_path / "train", 3)
    write_pictures(tmp_path / "val", 2)
    assert len(load(tmp_path).test) == 2
    write_pictures(tmp_path / "test", 1)
    found = load(tmp_path)
    assert (len(found.train), len(found.test)) == (3, 1)
    assert "neither to learn from nor held out, and left out: 2 in val" in found.notes


def test_nested_folders_are_one_class_by_the_first_level_unless_told(tmp_path):
    for alphabet in ("Greek", "Latin"):
        for character in ("a", "b"):
            write_pictures(tmp_path / alphabet / character, 2)
    assert load(tmp_path).classes == ("Greek", "Latin")
    assert load(tmp_path, class_level=2).classes == ("Greek/a", "Greek/b", "Latin/a", "Latin/b")


def test_a_zip_file_is_as_its_folder(tmp_path):
    for name in ("cats", "dogs"):
        write_pictures(tmp_path / "pets" / name)
    (tmp_path / "pets" / "readme.txt").write_text("hello")
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for path in sorted((tmp_path / "pets").rglob("*")):
            archive.write(path, path.relative_to(tmp_path))
        archive.writestr("__MACOSX/._0.png", b"")
    folder, packed = load(tmp_path / "pets"), load(tmp_path / "pets.zip")
    assert folder.digest == packed.digest and packed.notes == folder.notes
    assert "files that are no pictures, passed over: 1 .txt" in packed.notes


# What may be wrong


def test_no_pictures_says_what_is_there(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.csv").write_text("x")
    with pytest.raises(ValueError, match="holds no data that the zoo reads; files found: 1 .txt, 1 .csv"):
        load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="files found: none"):
        load(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        load(tmp_path / "absent")


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b"no picture" + b[10:]])
def test_one_corrupt_picture_is_named_and_skipped_if_asked(tmp_path, damage):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    write_pictures(tmp_path, 5, noise)
    (tmp_path / "3.png").write_bytes(damage((tmp_path / "3.png").read_bytes()))
    with pytest.raises(ValueError, match=r"cannot be decoded, 3\.png: .*--skip-corrupt"):
        load(tmp_path)
    found = load(tmp_path, skip_corrupt=True)
    assert len(all_of(found)) == 4 and any("1 pictures cannot be decoded, left out: 3.png" in n for n in found.notes)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="no picture that can be decoded"):
        load(tmp_path, skip_corrupt=True)


def test_a_decompression_bomb_does_not_go_off(tmp_path):
    write_pictures(tmp_path, 3)
    Image.new("1", (9_500, 9_500)).save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"bomb\.png: Image size \(90250000 pixels\) exceeds limit"):
            load(tmp_path)
        assert len(all_of(load(tmp_path, skip_corrupt=True))) == 3


def test_a_bomb_of_text_in_a_picture_does_not_go_off(tmp_path):
    write_pictures(tmp_path, 2)
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "a" * 3_000_000, zip=True)
    save(tmp_path / "text.png", RAMP, pnginfo=text)
    with pytest.raises(ValueError, match=r"text\.png"):
        load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_links_that_go_in_circles_or_nowhere_are_passed_over(tmp_path):
    write_pictures(tmp_path / "a", 2)
    write_pictures(tmp_path / "elsewhere" / "c", 1)
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "b").symlink_to(tmp_path / "elsewhere" / "c")
    found = load(tmp_path)
    assert len(all_of(found)) == 4 and found.classes == ("a", "b", "elsewhere")
    assert {"1 links to a folder that they lie in, passed over", "2 links that lead nowhere, passed over"} <= {
        *found.notes
    }


@pytest.mark.parametrize("entry", ["../out.png", "a/../../out.png", "/etc/out.png", "..\\out.png", "C:\\out.png"])
def test_zip_entries_that_climb_out_are_refused(tmp_path, entry):
    save(tmp_path / "x.png", RAMP)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "x.png", "x.png")
        info = zipfile.ZipInfo("x")
        info.filename = entry  # as it stands, where a sound program would mend it
        archive.writestr(info, (tmp_path / "x.png").read_bytes())
    with pytest.raises(ValueError, match="climbs out"):
        load(tmp_path / "x.zip")


def test_a_damaged_zip_file_is_named(tmp_path):
    write_pictures(tmp_path / "x", 4)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in (tmp_path / "x").iterdir():
            archive.write(path, path.name)
    whole = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(whole[:-30])
    with pytest.raises(ValueError, match="x.zip is no sound zip file"):
        load(tmp_path / "x.zip")
    (tmp_path / "x.zip").write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    with pytest.raises(ValueError, match="cannot be decoded"):
        load(tmp_path / "x.zip")


def test_one_picture_is_not_enough(tmp_path):
    write_pictures(tmp_path, 1)
    with pytest.raises(ValueError, match="needs at least 2 examples, got 1"):
        load(tmp_path)


def test_options_of_other_data_are_refused(tmp_path):
    write_pictures(tmp_path, 3)
    with pytest.raises(ValueError, match=r"load\(window=4\).* does not go with .*class_level, resize, size"):
        load(tmp_path, window=4)
