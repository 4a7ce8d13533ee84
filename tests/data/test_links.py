from pathlib import Path

import pytest

from i2i.data import open_splits
from i2i.data.survey import survey
from i2i.errors import DataError

COUNT = 6


@pytest.fixture
def inside(save, tmp_path):
    """The folder that is named: pairs in A and B."""
    for side in "AB":
        for index in range(COUNT):
            save(f"inside/{side}/{index}.png")
    return tmp_path / "inside"


@pytest.fixture
def elsewhere(save, tmp_path):
    """A folder beside it, with images of other names."""
    for side in "AB":
        for index in range(COUNT):
            save(f"elsewhere/{side}/{index + COUNT}.png")
    return tmp_path / "elsewhere"


def trained(splits):
    return len(splits.train) + len(splits.validation)


def link(path: Path, target: Path) -> None:
    path.symlink_to(target, target_is_directory=target.is_dir())


def of_files(inside, elsewhere):
    for side in "AB":
        for index in range(COUNT, 2 * COUNT):
            link(inside / side / f"{index}.png", elsewhere / side / f"{index}.png")
    return inside / "A" / "10.png", 2 * COUNT


def of_folders(inside, elsewhere):
    for side in "AB":
        link(inside / side / "more", elsewhere / side)
    return inside / "A" / "more", 2


def of_sides(inside, elsewhere):
    for side in "AB":
        for path in (inside / side).iterdir():
            path.unlink()
        (inside / side).rmdir()
        link(inside / side, elsewhere / side)
    return inside / "A", 2


@pytest.mark.parametrize("lead_out", [of_files, of_folders, of_sides])
def test_links_out_of_the_folder_are_refused_unless_they_are_allowed(inside, elsewhere, config, lead_out):
    first, count = lead_out(inside, elsewhere)
    settings = {"source": str(inside)}
    with pytest.raises(DataError) as refused:
        open_splits(config(**settings))
    assert str(refused.value).startswith(f"{first}: a link that leads out of {inside}, to {elsewhere}")
    assert f"; {count} such in all" in refused.value.message
    assert "data.links=true" in refused.value.hint
    with pytest.raises(DataError, match="leads out of"):
        survey(inside)
    assert trained(open_splits(config(**settings, links=True))) == (COUNT if lead_out is of_sides else 2 * COUNT)
    assert survey(inside, links=True).problems == []


def test_the_folder_that_is_named_may_be_a_link(inside, tmp_path, config):
    link(tmp_path / "link", inside)
    assert trained(open_splits(config(source=str(tmp_path / "link")))) == COUNT


def test_the_second_folder_is_looked_at_likewise(inside, elsewhere, config):
    link(inside / "B" / "more", elsewhere)
    settings = {"source": str(inside / "A"), "second": str(inside / "B")}
    with pytest.raises(DataError, match=r"B.more: a link that leads out of .*B, to .*elsewhere; 1 such"):
        open_splits(config(**settings), "unpaired")
    opened = open_splits(config(**settings, links=True, validation=0.0), "unpaired")
    assert len(opened.train) == 3 * COUNT  # as many as B has


def test_links_within_the_folder_are_followed(inside, config, save):
    for side in "AB":
        save(f"inside/kept/{side}/x.png")
        link(inside / side / "more", inside / "kept" / side)
        link(inside / side / "9.png", inside / "kept" / side / "x.png")
    assert trained(open_splits(config(source=str(inside)))) == COUNT + 2


@pytest.mark.parametrize("links", [False, True])
def test_a_link_back_ends_with_an_error(inside, config, links):
    link(inside / "A" / "again", inside)
    with pytest.raises(DataError, match="again: a link that leads back to a folder it lies in"):
        open_splits(config(source=str(inside), links=links), "images")


def test_a_link_to_itself_and_one_to_nothing_are_named(inside, config):
    for side in "AB":  # so many that two may be left out
        for index in range(COUNT, 40):
            (inside / side / f"{index}.png").write_bytes((inside / side / "0.png").read_bytes())
    for side in "AB":
        link(inside / side / "gone.png", inside / "nowhere.png")
    link(inside / "A" / "self.png", inside / "A" / "self.png")
    (inside / "B" / "self.png").write_bytes((inside / "B" / "0.png").read_bytes())
    said = open_splits(config(source=str(inside))).warnings
    assert any("gone.png: No such file" in line and "left out" in line for line in said)
    assert any("self.png: broken: " in line and "left out" in line for line in said)


def test_other_links_are_nobodys_business(inside, elsewhere, config):
    (inside / "notes.txt").symlink_to(elsewhere / "A" / "6.png")
    (inside / ".git").symlink_to(elsewhere)
    assert trained(open_splits(config(source=str(inside)))) == COUNT


def test_images_in_formats_that_are_not_read_are_told(inside, config):
    (inside / "A" / "photo.HEIC").write_bytes(b"")
    (inside / "A" / "notes.txt").write_bytes(b"")
    told = "in formats that are not read, and left out: 1: A/photo.HEIC"
    assert any(told in line for line in open_splits(config(source=str(inside))).warnings)
    assert any(told in line for line in survey(inside).warnings)


def test_folders_that_many_links_lead_to_are_gone_into_once(save, tmp_path, config):
    for index in range(30):
        save(f"all/{index}.png")
    for number in range(40):
        place = tmp_path / f"d{number}"
        place.mkdir()
        for name in "xy":
            link(place / name, tmp_path / (f"d{number + 1}" if number < 39 else "all"))
    splits = open_splits(config(source=str(tmp_path)), "images")
    assert trained(splits) == 30
    assert all(name.startswith("all/") for name in splits.train.names)
    assert any("links to folders in it" in line for line in splits.warnings)
