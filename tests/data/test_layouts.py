"""Which images of a folder belong to which kind of data, split and class, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i.config import DataConfig
from i2i.data import open_splits
from i2i.data.layouts import guess
from i2i.errors import DataError


def counts(splits):
    return [len(splits.train), len(splits.validation), len(splits.test)]


UNPAIRED = ["{part}{side}/{n}.png", "{side}/{part}/{n}.png", "{part}/{side}/{n}.png"]


@pytest.mark.parametrize("layout", UNPAIRED)
def test_unpaired_sides_are_found_with_their_splits(save, opened, layout):
    for part, numbers in (("train", (3, 5)), ("val", (2, 2)), ("test", (4, 1))):
        for side, count in zip("AB", numbers, strict=True):
            for n in range(count):
                save(layout.format(part=part, side=side, n=f"{side}{part}{n}"))
    splits = opened("unpaired")
    assert counts(splits) == [5, 2, 1]
    assert splits.train.names[:2] == ["Atrain0, Btrain0", "Atrain1, Btrain1"]
    assert splits.train.names[4] == "Atrain1, Btrain4"
    assert "9 images of A and 8 of B" in splits.description


def test_two_folders_without_splits_are_two_sides_and_some_of_each_is_set_aside(save, config, tmp_path):
    for n in range(20):
        save(f"horses/deep/{n}.png")
    for n in range(30):
        save(f"zebras/{n}.png")
    folders = {"source": str(tmp_path / "horses"), "second": str(tmp_path / "zebras")}
    splits = open_splits(config(**folders, validation=0.2), "unpaired")
    seen = [name.split(", ") for part in (splits.train, splits.validation) for name in part.names]
    assert {a for a, _ in seen} <= {f"deep/{n}" for n in range(20)}
    assert {b for _, b in seen} <= {str(n) for n in range(30)}
    # What is trained on is all of both but what is set aside, of which as many of both are scored.
    trained = [set(column) for column in zip(*(name.split(", ") for name in splits.train.names), strict=True)]
    assert 0 < len(splits.validation) <= min(20 - len(trained[0]), 30 - len(trained[1]))
    assert not {a for a, _ in (n.split(", ") for n in splits.train.names)} & {
        a for a, _ in (n.split(", ") for n in splits.validation.names)
    }
    assert "'horses' and 'zebras'" in splits.description


def test_plain_a_and_b_need_no_names_in_common(save, opened):
    for n in range(4):
        save(f"A/left{n}.png")
        save(f"B/right{n}.png")
    assert sum(counts(opened("unpaired"))) == 4


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["trainA/x.png"], r"no folders of A and of B[\s\S]*DIR/trainA"),
        (["x.png"], r"no folders of A and of B[\s\S]*--data DIR --data OTHER"),
        (["trainA/x.png", "trainB/x.png", "testA/x.png"], r"trainA has train, test and .*trainB has train: a split"),
        (["testA/x.png", "testB/x.png"], r"has test, but no train"),
        (["A/test/x.png", "B/test/x.png"], r"A: has test, but no train"),
        (["trainA/x.png", "trainB/x.txt"], r"trainB: no images in it"),
        (["A/x.png", "A/x.bmp", "B/x.png"], r"two images of one name"),
    ],
)
def test_unpaired_folders_that_lack_something_say_what(save, opened, tmp_path, files, message):
    for name in files:
        save(name) if name.endswith(("png", "bmp")) else (tmp_path / name).parent.mkdir()
    with pytest.raises(DataError, match=message):
        opened("unpaired")


def test_a_second_folder_lies_apart_exists_and_is_for_unpaired_data(save, config, tmp_path):
    save("a/x.png")
    save("a/b/y.png")
    source = str(tmp_path / "a")
    with pytest.raises(DataError, match="the one is within the other"):
        open_splits(config(source=source, second=str(tmp_path / "a" / "b")), "unpaired")
    with pytest.raises(DataError, match=r"data\.second .*nowhere: no folder"):
        open_splits(config(source=source, second=str(tmp_path / "nowhere")), "unpaired")
    with pytest.raises(DataError, match=r"a: a second folder, which is for unpaired data alone"):
        open_splits(config(source=source, second=source), "images")
    with pytest.raises(DataError, match=r"data\.second .*: the embedded set earth has both sides"):
        open_splits(config(source="earth", second=source), "unpaired")


@pytest.mark.parametrize("kind", ["images", "upscaled"])
def test_single_images_are_found_in_any_depth_or_in_splits(save, opened, kind):
    for n in range(10):
        save(f"some/where/{n}.png")
    save("top.jpg")
    assert sum(counts(opened(kind, validation=0.3))) == 11
    save("train/x/0.png")
    save("train/1.png")
    save("val/0.png")
    save("test/0.png")
    splits = opened(kind)
    assert counts(splits) == [2, 1, 1]
    assert splits.train.names == ["1", "x/0"]


@pytest.mark.parametrize("kind", ["images", "upscaled", "labelled"])
def test_a_test_split_is_never_trained_on_for_want_of_another(save, opened, kind):
    save("test/cat/0.png")
    with pytest.raises(DataError, match="has test, but no train"):
        opened(kind)


@pytest.mark.parametrize("kind", ["images", "upscaled"])
def test_an_empty_folder_says_what_it_should_hold(opened, kind):
    with pytest.raises(DataError, match=r"no images in it[\s\S]*DIR/train"):
        opened(kind)


def class_folders(save, *, prefix="", classes=("10", "2", "a"), count=10):
    for name in classes:
        for n in range(count):
            save(f"{prefix}{name}/deep/{n}.png" if n else f"{prefix}{name}/0.png")


def test_classes_are_numbered_as_people_count(save, opened):
    class_folders(save)
    splits = opened("labelled", validation=0.2)
    assert splits.classes == ("2", "10", "a")
    for part in (splits.train, splits.validation):
        labels = {name.split("/")[0]: int(part.evaluating(i)["label"]) for i, name in enumerate(part.names)}
        assert labels == {"2": 0, "10": 1, "a": 2}  # every class is on both sides
    assert "30 images of 3 classes" in splits.description


def test_classes_of_every_split_have_the_same_numbers(save, opened):
    class_folders(save, prefix="train/", classes=("b", "a", "c"), count=3)
    class_folders(save, prefix="test/", classes=("c",), count=2)
    splits = opened("labelled")
    assert len(splits.test) == 2
    assert [int(splits.test.evaluating(i)["label"]) for i in range(2)] == [2, 2]


def test_the_wanted_classes_are_taken_in_the_wanted_order(save, opened):
    class_folders(save)
    splits = opened("labelled", classes=("a", "2"))
    assert splits.classes == ("a", "2")
    names = splits.train.names + splits.validation.names
    assert {name.split("/")[0] for name in names} == {"a", "2"}
    assert {int(splits.train.evaluating(i)["label"]) for i, n in enumerate(splits.train.names) if n[0] == "a"} == {0}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("cats", "dogz"), r"no class is called 'dogz', did you mean 'dogs'\?\n.*cats, dogs"),
        (("cats", "cats"), "'cats' stands there twice"),
        (("dogs",), "a single class, 'dogs'"),
    ],
)
def test_classes_that_cannot_be_are_named(save, opened, wanted, message):
    class_folders(save, classes=("cats", "dogs"), count=2)
    with pytest.raises(DataError, match=message):
        opened("labelled", classes=wanted)


def test_class_folders_that_are_not_in_order_are_named(save, opened, tmp_path):
    with pytest.raises(DataError, match="no folders of classes in it"):
        opened("labelled")
    class_folders(save, classes=("cats",), count=2)
    with pytest.raises(DataError, match="a single class, 'cats'"):
        opened("labelled")
    (tmp_path / "dogs").mkdir()
    with pytest.raises(DataError, match=r"dogs: a class without an image"):
        opened("labelled")
    save("dogs/0.png")
    save("stray.png")
    with pytest.raises(DataError, match=r"images beside the folders of classes: 1: stray\.png"):
        opened("labelled")


def test_a_class_that_is_only_tested_is_refused(save, opened):
    class_folders(save, prefix="train/", classes=("cats", "dogs"), count=2)
    save("test/cows/0.png")
    with pytest.raises(DataError, match=r"cows: a class that is not among those to train on"):
        opened("labelled")


def test_a_class_whose_images_are_all_broken_is_named(save, opened, tmp_path):
    class_folders(save, classes=("cats", "dogs"), count=30)
    (tmp_path / "cows").mkdir()
    (tmp_path / "cows" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="no image is left to train on of: cows"):
        opened("labelled")


def test_a_linked_class_folder_is_followed(save, opened, tmp_path):
    class_folders(save, prefix="data/", classes=("cats", "dogs"), count=2)
    (tmp_path / "data" / "more").symlink_to(tmp_path / "data" / "cats")
    assert opened("labelled", source=str(tmp_path / "data")).classes == ("cats", "dogs", "more")


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["A/0.png", "B/0.jpg"], "paired"),
        (["train/A/0.png", "train/B/0.png"], "paired"),
        (["A/0.png", "B/1.png"], "unpaired"),
        (["trainA/0.png", "trainB/1.png"], "unpaired"),
        (["0.png", "deep/1.png"], "images"),
        (["train/0.png"], "images"),
        (["deep/below/0.png"], "images"),
        (["cats/0.png", "dogs/0.png"], "labelled"),
        (["train/cats/0.png", "train/dogs/0.png"], "labelled"),
        ([], "images"),
    ],
)
def test_the_kind_of_a_folder_is_guessed(save, tmp_path, files, kind):
    for name in files:
        save(name)
    assert guess(tmp_path) == kind


def test_wide_images_alone_are_taken_for_pairs_side_by_side(save, tmp_path):
    save("0.png", 48, 24)
    assert guess(tmp_path) == "paired"


def test_a_second_source_is_a_folder_and_no_embedded_set(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    with pytest.raises(DataError, match=r"data\.second digits: no folder of that name") as raised:
        open_splits(DataConfig(source=str(tmp_path / "A"), second="digits"), "unpaired")
    assert "Embedded" not in str(raised.value)
