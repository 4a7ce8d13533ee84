from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from i2i.config import DataConfig
from i2i.data import open_splits
from i2i.data.aside import held_out
from i2i.errors import DataError


def test_a_and_b_are_matched_by_name_whatever_the_format(save, opened):
    a, b = save("A/x/1.2.png"), save("B/x/1.2.bmp")
    save("A/y.png")
    save("B/y.png")
    splits = opened(validation=0.0, fit="none", size=24)
    assert splits.train.names == ["x/1.2", "y"]
    pair = splits.train.read(0)
    assert np.array_equal(pair[0], np.asarray(Image.open(a)))
    assert np.array_equal(pair[1], np.asarray(Image.open(b)))


@pytest.mark.parametrize("layout", ["{side}/{part}/{n}.png", "{part}/{side}/{n}.png"])
@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
def test_splits_of_the_folder_are_used(save, opened, layout, validation):
    for part, n in (("train", 3), (validation, 2), ("test", 4)):
        for number in range(n):
            for side in "AB":
                save(layout.format(part=part, side=side, n=number))
    splits = opened()
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [3, 2, 4]
    assert splits.warnings == []


def test_side_by_side_is_cut_in_halves(save, opened):
    both = np.asarray(Image.open(save("train/x.png", 48, 24)))
    save("val/x.png", 48, 24)
    image, target = opened(size=24).train.read(0)
    assert np.array_equal(image, both[:, :24])
    assert np.array_equal(target, both[:, 24:])
    reverse = opened(size=24, direction="BtoA").train.read(0)
    assert np.array_equal(reverse[0], target)
    assert np.array_equal(reverse[1], image)


def test_a_flat_folder_of_side_by_side_images_is_taken(save, opened):
    for n in range(4):
        save(f"{n}.png", 48, 24)
    splits = opened()
    assert sorted(splits.train.names + splits.validation.names) == ["0", "1", "2", "3"]
    assert "4 pairs" in splits.description


@pytest.mark.parametrize("size", [(24, 24), (47, 24), (96, 24)])
def test_a_flat_folder_of_anything_else_is_refused(save, opened, size):
    save("0.png", 48, 24)
    save("1.png", *size)
    with pytest.raises(DataError, match=rf"1\.png is {size[0]} x {size[1]} pixels[\s\S]*DIR/A and DIR/B"):
        opened()


def test_direction_swaps_files_and_channels(paired, opened):
    paired(2)
    forth, back = opened(validation=0.0).train.read(0), opened(validation=0.0, direction="BtoA").train.read(0)
    assert np.array_equal(forth[0], back[1])
    assert np.array_equal(forth[1], back[0])


def test_a_pair_of_two_resolutions_is_brought_to_one(save, opened):
    for name in ("A/x.png", "A/y.png"):
        save(name, 41, 20)
    for name in ("B/x.png", "B/y.png"):
        save(name, 82, 41)
    for fit, shape in (("stretch", (18, 18, 3)), ("scale", (18, 37, 3))):
        pair = opened(fit=fit, load_size=18).train.read(0)
        assert (pair[0].shape, pair[1].shape) == (shape, shape)


def test_what_is_held_out_stays_so_when_files_are_added(paired, opened):
    paired(30)
    before = set(opened(validation=0.3).validation.names)
    paired(60)
    assert {name for name in opened(validation=0.3).validation.names if int(name) < 30} == before
    names = [f"folder/{n}" for n in range(1000)]
    held = held_out(names, 0.3)
    assert 250 < len(held) < 350
    assert all(held_out(names[:n], 0.3) == held & set(names[:n]) for n in range(50, 1000, 50))


@pytest.mark.parametrize(("n", "fraction", "held"), [(1, 0.5, 0), (2, 0.01, 1), (3, 1.0, 2), (3, 0.0, 0)])
def test_something_is_held_out_and_something_left(paired, opened, n, fraction, held):
    paired(n)
    splits = opened(validation=fraction)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (n - held, held, 0)


def test_hidden_files_are_left_out_and_links_followed(paired, save, opened, tmp_path):
    paired(2)
    for side in "AB":
        (tmp_path / side / "link.png").symlink_to(tmp_path / side / "0.png")
        (tmp_path / side / "._0.png").write_bytes(b"what a Mac leaves behind")
        (tmp_path / side / "Thumbs.db").write_bytes(b"what Windows leaves behind")
    splits = opened(validation=0.0)
    assert splits.train.names == ["0", "1", "link"]
    assert splits.warnings == []


def test_images_without_a_counterpart_are_told(paired, save, opened):
    paired(2)
    for n in range(7):
        save(f"A/only{n}.png")
    splits = opened()
    assert len(splits.train) + len(splits.validation) == 2
    (warning,) = splits.warnings
    assert "2 pairs" in warning
    assert "7: only0, only1, only2, only3, only4 and 2 more" in warning


def test_no_pair_at_all_shows_both_sides(save, opened):
    save("A/cat_in.png")
    save("B/cat_out.png")
    with pytest.raises(DataError, match=r"no image of the one[\s\S]*A: 1: cat_in\n[\s\S]*B: 1: cat_out"):
        opened()


def test_two_images_of_one_name_are_told_apart_by_nobody(paired, save, opened):
    paired(2)
    save("A/1.bmp")
    with pytest.raises(DataError, match=r"A.1\.bmp and .*A.1\.png: two images of one name"):
        opened()


@pytest.mark.parametrize("folders", [(), ("A", "B"), ("train",), ("A",)])
def test_a_folder_without_images_says_so_and_the_layouts(tmp_path, opened, folders):
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError, match=r"no images[\s\S]*DIR/A and DIR/B"):
        opened()


def test_a_source_that_is_nothing_suggests_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"opnmoji: no folder and no embedded .*did you mean 'openmoji'\?[\s\S]*DIR/A"):
        open_splits(DataConfig(source="opnmoji"))
    (tmp_path / "x.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.zip: a file, not a folder"):
        open_splits(DataConfig(source=str(tmp_path / "x.zip")))


def test_a_few_broken_files_are_left_out_with_a_warning_each(paired, save, opened, tmp_path):
    paired(60)
    whole = save("A/7.png", 64, 64).read_bytes()
    save("B/7.png", 64, 64)
    (tmp_path / "A/7.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "B/9.png").write_bytes(b"no image")
    save("A/11.png", 48, 24)
    splits = opened()
    assert len(splits.train) + len(splits.validation) == 57
    assert not {"7", "9", "11"} & {*splits.train.names, *splits.validation.names}
    said = "\n".join(splits.warnings)
    assert len(splits.warnings) == 3
    assert "A/7.png: broken" in said
    assert "B/9.png: not an image" in said
    assert "11: A is 48 x 24 pixels and B 24 x 24" in said


def test_of_many_warnings_five_are_shown(paired, opened, tmp_path):
    paired(140)
    for n in range(7):
        (tmp_path / f"B/{n}.png").write_bytes(b"")
    splits = opened()
    assert len(splits.warnings) == 6
    assert splits.warnings[-1] == "7 pairs are left out in all"


def test_many_broken_files_stop_before_training(paired, opened, tmp_path):
    paired(20)
    for n in (3, 4):
        (tmp_path / f"B/{n}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"more than 1 in 20 of the 20 pairs[\s\S]*B.3\.png[\s\S]*B.4\.png"):
        opened()


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        (((24, 24), (24, 32)), {"fit": "stretch"}, r"x: A is 24 x 24 pixels and B 24 x 32: not of one shape"),
        (((24, 24), (48, 48)), {"fit": "none"}, r"x: input of 24 x 24 and target of 48 x 48 [\s\S]*data\.fit"),
        (((24, 12), (24, 12)), {"fit": "none"}, r"x: 24 x 12 pixels, smaller than data\.size 16"),
    ],
)
def test_sizes_that_do_not_fit_are_named(save, opened, sizes, settings, message):
    for side, size in zip("AB", sizes, strict=True):
        save(f"{side}/x.png", *size)
    with pytest.raises(DataError, match=message):
        opened(**settings)


def test_progress_counts_every_pair(paired, config):
    paired(5)
    calls = []
    open_splits(config(), progress=lambda *call: calls.append(call))
    assert calls == [(n, 5, "checking the images") for n in range(1, 6)]


@pytest.mark.parametrize("misspelt", ["Train", "trian"])
def test_a_split_that_is_missing_on_one_side_is_never_trained_on_instead(save, tmp_path, misspelt):
    for part in ("train", "val", "test"):
        save(f"A/{part}/x{part}.png")
        save(f"B/{misspelt if part == 'train' else part}/x{part}.png")
    with pytest.raises(DataError, match=r"B: has test, validation, but no train"):
        open_splits(DataConfig(source=str(tmp_path), size=16))


def test_splits_beside_a_and_b_are_used(save, tmp_path):
    for folder in ("", "val/", "test/"):
        for side in "AB":
            save(f"{folder}{side}/{folder.strip('/') or 'train'}.png")
    splits = open_splits(DataConfig(source=str(tmp_path), size=16))
    assert (splits.train.names, splits.validation.names, splits.test.names) == (["train"], ["val"], ["test"])
