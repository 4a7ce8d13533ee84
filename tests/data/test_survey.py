"""What is seen in a folder before training."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from i2i.config import DataConfig
from i2i.data import open_splits
from i2i.data.survey import Range, survey
from i2i.errors import DataError


def smooth(seed, width=32, height=32):
    """An image of a few soft blots, as photographs are and noise is not."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def put(tmp_path):
    """Saves an image below tmp_path."""

    def do(name, image, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)
        return path

    return do


@pytest.fixture
def twenty(put):
    """Twenty pairs to train on, four to validate, two to test."""
    for part, numbers in (("train", range(20)), ("val", range(20, 24)), ("test", range(24, 26))):
        for n in numbers:
            for side in "AB":
                put(f"{part}/{side}/{n}.png", smooth([n, ord(side)]))


@pytest.mark.usefixtures("twenty")
def test_a_folder_in_order_has_no_remarks(tmp_path):
    seen = survey(tmp_path)
    assert (seen.kind, seen.layout) == ("paired", "A and B, matched by name")
    assert (seen.warnings, seen.problems) == ([], [])
    assert [side.role for side in seen.sides] == ["A", "B"]
    for side in seen.sides:
        assert side.splits == {"train": 20, "validation": 4, "test": 2}
        assert (side.width, side.height, side.unusual) == (Range(32, 32, 32), Range(32, 32, 32), 0)
        assert side.forms == {"RGB": 26}
        assert side.files == {"PNG, 8 bit": 26}


@pytest.mark.usefixtures("twenty")
def test_the_splits_are_those_of_training(tmp_path):
    for split in ("val", "test"):
        for path in (tmp_path / split).rglob("*.png"):
            path.unlink()
        for side in "AB":
            (tmp_path / split / side).rmdir()
        (tmp_path / split).rmdir()
    (side, _) = survey(tmp_path).sides
    splits = open_splits_of(tmp_path)
    assert side.splits == {"train": len(splits.train), "validation": len(splits.validation), "test": 0}


def open_splits_of(folder, kind="paired"):
    return open_splits(DataConfig(source=str(folder), size=16), kind)


@pytest.mark.usefixtures("twenty")
def test_images_in_two_splits_are_found_exactly_nearly_and_mirrored(tmp_path, put):
    put("val/A/20.png", smooth([3, ord("A")]))
    put("test/A/24.png", smooth([5, ord("A")]).resize((48, 48)))
    put("test/A/25.png", smooth([7, ord("A")]).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    put("test/B/25.png", smooth([21, ord("B")]))
    put("train/A/0.png", smooth([1, ord("A")]))  # within a split: nothing to remark
    seen = survey(tmp_path)
    assert seen.warnings == [
        "A: 1 of validation are the same as one of train: 20 = 3",
        "A: 2 of test are nearly the same as one of train: 24 = 5, 25 = 7",
        "B: 1 of test are the same as one of validation: 25 = 21",
    ]
    assert seen.problems == []


def test_noise_and_line_art_are_no_duplicates(save, put, tmp_path):
    for n in range(40):
        save(f"{'train' if n < 30 else 'test'}/noise{n}.png")
        line = Image.new("L", (32, 32), 255)
        line.paste(0, (n % 5 * 3, n // 5 * 4, n % 5 * 3 + 3, n // 5 * 4 + 4))
        put(f"{'train' if n < 30 else 'test'}/line{n}.png", line)
    assert survey(tmp_path, kind="images").warnings == []


def test_sizes_channels_and_bits_are_counted(tmp_path, put):
    put("0.png", smooth(0, 20, 30))
    put("1.jpg", smooth(1, 20, 30).convert("L"))
    put("2.png", smooth(2, 40, 10).convert("RGBA"))
    put("3.png", Image.fromarray(np.random.default_rng(3).integers(0, 65536, (8, 50), dtype=np.uint16)))
    put("4.tif", smooth(4, 20, 30).convert("1"))
    put("5.gif", smooth(5, 20, 30).convert("P"))
    deep_png(tmp_path / "6.png")
    seen = survey(tmp_path)
    (side,) = seen.sides
    assert seen.kind == "images"
    assert side.role == "images"
    assert (side.width, side.height, side.unusual) == (Range(2, 20, 50), Range(2, 30, 30), 3)
    assert side.forms == {"RGB": 3, "L": 3, "RGBA": 1}
    assert side.files == {
        "PNG, 8 bit": 2,
        "PNG, 16 bit": 2,
        "JPEG, 8 bit": 1,
        "TIFF, 1 bit": 1,
        "GIF, 8 bit": 1,
    }
    assert seen.warnings == ["2 of more than 8 bits a channel, which are reduced to 8: 3, 6"]


def deep_png(path):
    """A PNG of 2 x 2 pixels in RGB of 16 bits, which Pillow cannot write."""
    rows = b"".join(b"\0" + struct.pack(">6H", *range(row, row + 6000, 1000)) for row in (0, 60))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.usefixtures("twenty")
def test_constant_images_and_lonely_ones_are_named(tmp_path, put):
    put("train/A/4.png", Image.new("RGB", (32, 32), "white"))
    put("train/A/alone.png", smooth(9))
    lonely, constant = survey(tmp_path).warnings
    assert "1: alone" in lonely
    assert constant == "A: 1 of a single colour: 4"


@pytest.mark.usefixtures("twenty")
@pytest.mark.parametrize(("broken", "refused"), [(1, False), (2, True)])
def test_broken_files_are_named_and_refused_where_training_would(tmp_path, broken, refused):
    for n in range(broken):
        (tmp_path / f"train/B/{n}.png").write_bytes(b"no image")
    seen = survey(tmp_path)
    assert seen.sides[0].splits["train"] == 20 - broken
    if refused:
        assert "more than 1 in 20 of the 26 pairs" in seen.problems[0]
        with pytest.raises(DataError, match="more than 1 in 20 of the 26 pairs"):
            open_splits_of(tmp_path)
    else:
        assert seen.problems == []
        assert "B/0.png: not an image" in seen.warnings[0]
        assert seen.warnings[0].endswith("the pair is left out")


def test_what_has_no_layout_is_a_problem_and_no_crash(tmp_path, save):
    assert "no images in it" in survey(tmp_path).problems[0]
    save("A/0.png")
    save("B/1.png")
    assert survey(tmp_path).kind == "unpaired"
    assert "no image of the one" in survey(tmp_path, kind="paired").problems[0]
    assert survey(tmp_path, kind="labelled").problems == []
    with pytest.raises(DataError, match="nowhere: no folder"):
        survey(tmp_path / "nowhere")


def test_a_class_is_counted_as_it_is_trained_on(tmp_path, save):
    for n in range(20):
        save(f"cats/{n}.png")
        if n < 10:
            save(f"dogs/{n}.png")
    seen = survey(tmp_path)
    splits = open_splits_of(tmp_path, "labelled")
    assert seen.kind == "labelled"
    names = [name.split("/")[0] for name in splits.train.names]
    assert seen.classes == {"cats": names.count("cats"), "dogs": names.count("dogs")}


def test_two_folders_are_unpaired(tmp_path, save):
    for n in range(6):
        save(f"horses/{n}.png", 20, 20)
        save(f"zebras/{n}.png", 30, 30)
    seen = survey(tmp_path / "horses", tmp_path / "zebras")
    assert seen.kind == "unpaired"
    assert [(side.role, side.width.smallest) for side in seen.sides] == [("A", 20), ("B", 30)]


def test_side_by_side_images_are_seen_as_two(tmp_path, save):
    for n in range(6):
        save(f"{n}.png", 48, 24)
    seen = survey(tmp_path)
    assert seen.layout == "A and B side by side in one image"
    assert [(side.role, side.width.smallest) for side in seen.sides] == [("A", 24), ("B", 24)]


@pytest.mark.parametrize(
    ("high", "problem"),
    [(64, []), (60, ["B is not everywhere the same whole number of times as large as A: 1 of no whole number"])],
)
def test_given_resolutions_are_compared(tmp_path, save, high, problem):
    save("A/0.png", 32, 32)
    save("B/0.png", high, high)
    assert survey(tmp_path, kind="upscaled").problems == problem


def test_progress_counts_every_image(tmp_path, save):
    for n in range(3):
        save(f"{n}.png")
    calls = []
    survey(tmp_path, progress=lambda *call: calls.append(call))
    assert calls == [(n, 3, "looking at the images") for n in range(1, 4)]


def test_files_of_more_bytes_are_looked_at_where_they_are_allowed(tmp_path, save):
    path = save("0.png")
    length = path.stat().st_size
    assert survey(tmp_path, kind="images", max_bytes=length).problems == []
    assert f"over the limit of {length - 1:,}" in survey(tmp_path, kind="images", max_bytes=length - 1).problems[0]
