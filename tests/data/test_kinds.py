"""What a sample of each kind is, in training and in evaluation."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from i2i.data import Loader, evaluation, open_splits
from i2i.errors import DataError

PLAIN = {"flip": False, "validation": 0.0}


def pixels(path):
    return np.asarray(Image.open(path))


def first_batches(samples, count, *, first=0, threads=2, batch=4, seed=0):
    with Loader(samples, batch=batch, seed=seed, threads=threads).read(first) as batches:
        return list(islice(batches, count))


def same(ones, others):
    return all(
        one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)
        for one, other in zip(ones, others, strict=True)
    )


LAYOUTS = {
    "unpaired": [f"train{side}/{n}.png" for side in "AB" for n in range(5)],
    "upscaled": [f"{n}.png" for n in range(5)],
    "images": [f"{n}.png" for n in range(5)],
    "labelled": [f"{name}/{n}.png" for name in ("cats", "dogs") for n in range(5)],
}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("augmentation", [{}, {"rotate": 10.0, "zoom": 0.1}])
def test_batches_depend_on_seed_and_number_alone(save, opened, kind, augmentation):
    for name in LAYOUTS[kind]:
        save(name, 40, 36)
    plain = first_batches(opened(kind, scale=2, cache=0.0, **augmentation).train, 7, threads=0)
    again = opened(kind, scale=2, cache=1.0, **augmentation).train
    assert same(plain, first_batches(again, 7, threads=3))
    assert same(plain[4:], first_batches(again, 3, first=4))
    assert not same(plain, first_batches(again, 7, seed=1))
    assert all(batch["target"].shape == (4, 16, 16, 3) for batch in plain)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_spread_takes_samples_evenly_as_evaluation_has_them(save, opened, kind):
    for name in LAYOUTS[kind]:
        save(name)
    train = opened(kind, validation=0.0).train
    few = train.spread(2)
    chosen = [0, len(train) // 2]
    assert few.names == [train.names[index] for index in chosen]
    assert same([few.evaluating(n) for n in range(2)], [train.evaluating(index) for index in chosen])
    assert few.uniform == train.uniform


def test_an_unpaired_input_goes_round_and_its_target_is_drawn(save, opened):
    a = [pixels(save(f"A/{n}.png", 16, 16)) for n in range(3)]
    b = [pixels(save(f"B/{n}.png", 16, 16)) for n in range(7)]
    train = opened("unpaired", **PLAIN).train
    drawn = Counter()
    for index in range(7):
        for seed in range(60):
            sample = train.training(index, seed)
            assert np.array_equal(sample["input"], a[index % 3])
            drawn[next(n for n, image in enumerate(b) if np.array_equal(sample["target"], image))] += 1
    assert len(drawn) == 7
    assert all(30 <= times <= 90 for times in drawn.values())  # 60 each


def test_an_unpaired_evaluation_takes_both_in_order(save, opened):
    a = [pixels(save(f"A/{n}.png", 16, 16)) for n in range(2)]
    b = [pixels(save(f"B/{n}.png", 16, 16)) for n in range(3)]
    batches = list(evaluation(opened("unpaired", **PLAIN).train, batch=2, threads=0))
    assert [len(batch["input"]) for batch in batches] == [2, 1]
    assert np.array_equal(np.concatenate([batch["input"] for batch in batches]), np.stack([a[0], a[1], a[0]]))
    assert np.array_equal(np.concatenate([batch["target"] for batch in batches]), np.stack(b))


def test_no_held_out_unpaired_image_is_scored_twice(save, opened):
    for side, count in (("A", 3), ("B", 7)):
        for part in ("train", "test"):
            for n in range(count):
                save(f"{part}{side}/{n}.png", 16, 16)
    splits = opened("unpaired", **PLAIN)
    assert (len(splits.train), len(splits.test)) == (7, 3)
    seen = [splits.test.evaluating(index) for index in range(3)]
    for role in ("input", "target"):
        assert len({sample[role].tobytes() for sample in seen}) == 3


def test_unpaired_images_are_cut_and_mirrored_each_on_its_own(save, tmp_path, opened):
    path = save("A/0.png", 40, 40)
    (tmp_path / "B").mkdir()
    (tmp_path / "B" / "0.png").write_bytes(path.read_bytes())
    train = opened("unpaired").train
    alike = [np.array_equal(sample["input"], sample["target"]) for sample in (train.training(0, s) for s in range(40))]
    assert sum(alike) <= 3


def test_direction_swaps_unpaired_sides_and_their_channels(save, opened):
    save("A/0.png", 16, 16)
    save("B/0.png", 16, 16, "L")
    forth = opened("unpaired", input_channels=3, target_channels=1, **PLAIN).train.evaluating(0)
    back = opened("unpaired", direction="BtoA", input_channels=1, target_channels=3, **PLAIN).train.evaluating(0)
    assert np.array_equal(forth["input"], back["target"])
    assert np.array_equal(forth["target"], back["input"])
    assert forth["target"].shape == (16, 16, 1)


def squares(whole, side):
    """Every square of the image and its mirror image, by its bytes."""
    height, width = whole.shape[:2]
    places = [(top, left) for top in range(height - side + 1) for left in range(width - side + 1)]
    cuts = [whole[top : top + side, left : left + side] for top, left in places]
    return {cut.tobytes() for cut in cuts} | {cut[:, ::-1].tobytes() for cut in cuts}


def test_an_upscaled_target_is_cut_as_it_is_and_its_input_is_made_from_it(save, opened):
    whole = pixels(save("0.png", 23, 21))
    train = opened("upscaled", scale=4, validation=0.0).train
    possible = squares(whole, 16)
    seen = set()
    for seed in range(20):
        sample = train.training(0, seed)
        seen.add(sample["target"].tobytes())
        small = Image.fromarray(sample["target"]).resize((4, 4), Image.Resampling.BICUBIC)
        assert np.array_equal(sample["input"], np.asarray(small))
    assert len(seen) > 10
    assert seen <= possible


def test_upscaled_images_are_evaluated_in_the_middle_or_whole(save, opened):
    whole = {part: pixels(save(f"{part}/0.png", 43, 37)) for part in ("train", "val", "test")}
    splits = opened("upscaled", scale=4, evaluation_size=18)
    assert splits.validation.uniform
    assert not splits.test.uniform
    (batch,) = evaluation(splits.validation, batch=8, threads=0)
    assert np.array_equal(batch["target"][0], whole["val"][10:26, 13:29])  # 16, the multiple of 4
    assert batch["input"].shape == (1, 4, 4, 3)
    (batch,) = evaluation(splits.test, batch=8, threads=0)
    assert np.array_equal(batch["target"][0], whole["test"][:36, 1:41])
    assert np.array_equal(
        batch["input"][0], np.asarray(Image.fromarray(batch["target"][0]).resize((10, 9), Image.Resampling.BICUBIC))
    )
    assert not opened("upscaled", scale=4).validation.uniform


def test_upscaled_images_of_several_sizes_come_one_by_one(save, opened):
    save("train/0.png")
    for n, side in enumerate((20, 28, 36)):
        save(f"test/{n}.png", side, side)
    batches = list(evaluation(opened("upscaled", scale=2).test, batch=8, threads=2))
    assert [batch["target"].shape for batch in batches] == [(1, side, side, 3) for side in (20, 28, 36)]


def test_a_grey_input_is_made_of_a_coloured_target(save, opened):
    save("0.png")
    sample = opened("upscaled", scale=2, input_channels=1, validation=0.0).train.training(0, 0)
    assert (sample["input"].shape, sample["target"].shape) == ((8, 8, 1), (16, 16, 3))


@pytest.fixture
def low_and_high(tmp_path):
    """Pairs in which every pixel of A says its place and so do the 3 x 3 pixels of B that it stands for."""
    y, x = np.mgrid[:11, :9].astype(np.uint8)
    low = np.stack([y, x, 0 * y], axis=2)
    for side, image in (("A", low), ("B", low.repeat(3, axis=0).repeat(3, axis=1))):
        (tmp_path / side).mkdir()
        Image.fromarray(image).save(tmp_path / side / "0.png")


@pytest.mark.usefixtures("low_and_high")
def test_given_low_and_high_resolutions_are_cut_alike(opened):
    splits = opened("upscaled", scale=3, size=15, validation=0.0)
    samples = [splits.train.training(0, seed) for seed in range(50)]
    for sample in [*samples, splits.train.evaluating(0)]:
        enlarged = sample["input"].repeat(3, axis=0).repeat(3, axis=1)
        assert np.array_equal(enlarged, sample["target"])
    assert {sample["input"].shape for sample in samples} == {(5, 5, 3)}
    assert {int(sample["input"][..., 0].min()) for sample in samples} == set(range(7))
    assert 10 <= sum(sample["input"][0, 0, 1] > sample["input"][0, 1, 1] for sample in samples) <= 40  # mirrored


@pytest.mark.usefixtures("low_and_high")
def test_the_middle_of_given_resolutions_is_the_same_place(opened, tmp_path):
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
        for side in "AB":
            (tmp_path / part / side).mkdir()
            (tmp_path / part / side / "0.png").write_bytes((tmp_path / side / "0.png").read_bytes())
    for side in "AB":
        (tmp_path / side / "0.png").unlink()
        (tmp_path / side).rmdir()
    for evaluation_size in (12, 14, 15, 18):
        sample = opened("upscaled", scale=3, size=15, evaluation_size=evaluation_size).validation.evaluating(0)
        assert sample["input"].shape == (evaluation_size // 3,) * 2 + (3,)
        assert np.array_equal(sample["input"].repeat(3, axis=0).repeat(3, axis=1), sample["target"])


@pytest.mark.usefixtures("low_and_high")
def test_given_resolutions_that_do_not_fit_the_scale_are_named(opened):
    with pytest.raises(DataError, match=r"low resolution of 9 x 11 and high one of 27 x 33 pixels, not 2 times"):
        opened("upscaled", scale=2)
    with pytest.raises(DataError, match=r"data\.rotate and data\.zoom do not go with"):
        opened("upscaled", scale=3, size=15, rotate=5.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": 3}, r"data\.size 16: no multiple of data\.scale 3\n  Set it to 15\."),
        ({"scale": 2, "fit": "stretch"}, r"data\.fit stretch"),
        ({"scale": 2, "size": 32}, r"0: 24 x 24 pixels, smaller than the 32 that are cut from it"),
        ({"scale": 2, "evaluation_size": 30}, r"24 x 24 pixels, smaller than the 30 that are cut"),
    ],
)
def test_what_cannot_be_made_larger_is_refused(save, opened, settings, message):
    for n in range(3):
        save(f"{n}.png")
    with pytest.raises(DataError, match=message):
        opened("upscaled", **settings)


def test_a_few_images_that_are_too_small_are_left_out(save, opened):
    for n in range(30):
        save(f"{n}.png", 24, 24)
    save("tiny.png", 12, 24)
    splits = opened("upscaled", scale=2)
    assert len(splits.train) + len(splits.validation) == 30
    assert splits.warnings == ["tiny: 12 x 24 pixels, smaller than the 16 that are cut from it; the image is left out"]


def test_scale_brings_the_shorter_side_to_load_size(save, opened):
    save("0.png", 60, 40)
    sample = opened("upscaled", scale=2, fit="scale", load_size=20, validation=0.0).train.evaluating(0)
    assert sample["target"].shape == (20, 30, 3)


@pytest.mark.parametrize("fit", ["stretch", "scale", "none"])
def test_images_are_brought_to_a_square(save, opened, fit):
    for name in ("train/0.png", "val/0.png"):
        path = save(name, 40, 20)
    splits = opened("images", fit=fit, target_channels=1)
    assert splits.train.training(0, 0).keys() == {"target"}
    made = splits.validation.evaluating(0)["target"]
    grey = Image.open(path).convert("L")
    expected = {
        "stretch": lambda: grey.resize((16, 16), Image.Resampling.BICUBIC),
        "scale": lambda: grey.resize((32, 16), Image.Resampling.BICUBIC).crop((8, 0, 24, 16)),
        "none": lambda: grey.crop((12, 2, 28, 18)),
    }[fit]()
    assert np.array_equal(made[..., 0], np.asarray(expected))


def test_labels_come_with_their_images(save, opened):
    known = {}
    for label, name in enumerate(("cats", "dogs", "eels")):
        for n in range(4):
            known[pixels(save(f"{name}/{n}.png", 16, 16)).tobytes()] = label
    for batch in first_batches(opened("labelled", **PLAIN).train, 6):
        assert batch["label"].dtype == np.int64
        assert [known[image.tobytes()] for image in batch["target"]] == batch["label"].tolist()


def test_a_broken_image_of_either_side_is_left_out(save, opened, tmp_path):
    for n in range(30):
        save(f"A/{n}.png")
        save(f"B/{n}.png")
    (tmp_path / "B/7.png").write_bytes(b"no image")
    splits = opened("unpaired", validation=0.0)
    assert len(splits.train) == 30
    assert [warning.endswith("the image is left out") for warning in splits.warnings] == [True]
    assert {name.split(", ")[-1] for name in splits.train.names} == {str(n) for n in range(30)} - {"7"}


def test_a_set_that_does_not_serve_a_kind_says_which_do(config):
    with pytest.raises(DataError, match=r"digits: has no paired data, but labelled, images\n.*openmoji, earth"):
        open_splits(config(source="digits"), "paired")
