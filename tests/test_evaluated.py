import csv
import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.errors import I2IError
from i2i.evaluated import About, Evaluated, Figure, ranked
from i2i.files import DiskFullError

ROW = [np.full((40, 40, 3), level, np.uint8) for level in (0, 100, 200)]


def found(**changes: object) -> Evaluated:
    facts = {
        "model": "demo",
        "data": "2 pairs",
        "split": "test",
        "images": 2,
        "metrics": {"psnr": About(key="psnr-rgb-n2", unit=" dB", higher_is_better=True)},
        "scores": {"model": {"psnr": Figure(value=20.5, low=20, high=math.inf)}},
        "by": "psnr",
        "each": {'a, "b"': {"psnr": 0.1 + 0.2}, "c\nd": {"psnr": math.inf}},
        "worst": ('a, "b"',),
        "best": ("c\nd",),
    }
    return Evaluated(**{**facts, **changes})


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    found().write(tmp_path / "e", {'a, "b"': ROW, "c\nd": ROW})
    assert Evaluated.read(tmp_path / "e") == found()
    assert files(tmp_path / "e") == ["best.png", "images.csv", "scores.json", "worst.png"]


def test_scores_are_json_that_others_read_and_images_a_table(tmp_path: Path) -> None:
    found().write(tmp_path, {})

    def no_constants(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    told = json.loads((tmp_path / "scores.json").read_text(), parse_constant=no_constants)
    assert told["scores"]["model"]["psnr"] == {"value": 20.5, "low": 20.0, "high": "Infinity"}
    with (tmp_path / "images.csv").open(newline="") as lines:
        assert list(csv.reader(lines)) == [["image", "psnr"], ['a, "b"', "0.30000000000000004"], ["c\nd", "inf"]]


def test_a_sheet_has_a_row_for_each_picture(tmp_path: Path) -> None:
    found(worst=('a, "b"', "c\nd")).write(tmp_path, {'a, "b"': ROW, "c\nd": ROW})
    with Image.open(tmp_path / "worst.png") as worst, Image.open(tmp_path / "best.png") as best:
        assert worst.height == best.height + 40 + 2
        colours = {colour for _, colour in worst.getcolors(2**16)}
        assert {(0, 0, 0), (100, 100, 100), (200, 200, 200)} <= colours


def test_large_pictures_are_made_smaller_and_a_small_input_shown_as_large(tmp_path: Path) -> None:
    row = [np.zeros((300, 400, 3), np.uint8), *[np.zeros((1200, 1600, 3), np.uint8)] * 2]
    found(worst=('a, "b"',), by="").write(tmp_path, {'a, "b"': row})
    with Image.open(tmp_path / "worst.png") as sheet:
        black = (np.asarray(sheet) == 0).all(2)
    lines = black.sum(1).max()
    assert lines == 3 * 512
    assert black.sum(0).max() == 384


def test_an_older_one_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    found().write(tmp_path, {'a, "b"': ROW, "c\nd": ROW})
    (tmp_path / "notes.txt").write_text("mine")
    found(model="newer").write(tmp_path, {'a, "b"': ROW})
    assert files(tmp_path) == ["images.csv", "notes.txt", "scores.json", "worst.png"]
    assert Evaluated.read(tmp_path).model == "newer"


def full_after(files: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the disk take so many files, and no more."""
    write, written = Path.write_bytes, []

    def refusing(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) > files:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", refusing)


def test_a_full_disk_leaves_the_older_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found().write(tmp_path, {'a, "b"': ROW})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    full_after(1, monkeypatch)
    with pytest.raises(DiskFullError, match=r"images\.csv: cannot be written"):
        found(model="newer").write(tmp_path, {"c\nd": ROW})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_could_not_be_filled_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_after(2, monkeypatch)
    with pytest.raises(DiskFullError):
        found().write(tmp_path / "e", {'a, "b"': ROW})
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("scores.json", b""),
        ("scores.json", b'{"model": "x"}'),
        ("scores.json", b"\xff\x00"),
        ("images.csv", b""),
        ("images.csv", b"image,psnr\na,b\n"),
        ("images.csv", b"image,psnr\na,1,2\n"),
        ("images.csv", b"\xff\xfe"),
    ],
)
def test_damage_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    found().write(tmp_path, {})
    (tmp_path / file).write_bytes(content)
    with pytest.raises(I2IError, match=f"{file}: is damaged"):
        Evaluated.read(tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(I2IError, match="holds no evaluation"):
        Evaluated.read(tmp_path)
    found().write(tmp_path, {})
    (tmp_path / "images.csv").unlink()
    with pytest.raises(I2IError, match=r"images\.csv: cannot be read"):
        Evaluated.read(tmp_path)


def test_a_field_that_a_later_version_has_does_no_harm(tmp_path: Path) -> None:
    found().write(tmp_path, {})
    told = json.loads((tmp_path / "scores.json").read_text())
    (tmp_path / "scores.json").write_text(json.dumps({**told, "later": 1}))
    assert Evaluated.read(tmp_path) == found()


def test_the_worst_come_first_and_no_image_is_both() -> None:
    assert ranked([3, 1, 2, 5, 4], higher_is_better=True) == ([1, 2], [3, 4])
    assert ranked([3, 1, 2, 5, 4], higher_is_better=False) == ([3, 4], [1, 2])
    assert ranked(list(range(100)), higher_is_better=True, most=3) == ([0, 1, 2], [99, 98, 97])
    assert ranked([7.0], higher_is_better=True) == ([0], [0])
    assert ranked([], higher_is_better=True) == ([], [])


@pytest.mark.parametrize("higher", [True, False])
def test_what_is_no_number_is_worst(higher: bool) -> None:
    worst, _ = ranked([1.0, math.nan, 2.0, math.inf], higher_is_better=higher, most=1)
    assert worst == [1]
