from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from i2i.data import Loader, evaluation, open_splits
from i2i.errors import DataError

ALL = {"flip": True, "rotate": 20.0, "zoom": 0.2}
NONE = {"flip": False, "rotate": 0.0, "zoom": 0.0}


def first_batches(config, n, *, batch=4, seed=0, first=0):
    with Loader(open_splits(config).train, batch=batch, seed=seed, threads=config.workers).read(first) as batches:
        return list(islice(batches, n))


def same(one, other):
    return len(one) == len(other) and all(
        np.array_equal(x[side], y[side]) for x, y in zip(one, other, strict=True) for side in ("input", "target")
    )


def names_drawn(splits, config, positions, **loader):
    """Which training pairs the first `positions` samples are, told by their pixels."""
    known = {splits.train.read(index)[0].tobytes(): name for index, name in enumerate(splits.train.names)}
    with Loader(splits.train, threads=config.workers, **loader).read() as batches:
        samples = [sample for batch in islice(batches, -(-positions // loader["batch"])) for sample in batch["input"]]
    return [known[sample.tobytes()] for sample in samples[:positions]]


def test_each_epoch_has_every_pair_once_in_another_order(paired, config):
    paired(12)
    settings = config(size=24, **NONE)
    splits = open_splits(settings)
    n = len(splits.train)
    drawn = names_drawn(splits, settings, 3 * n, batch=5, seed=1)
    epochs = [drawn[k * n : (k + 1) * n] for k in range(3)]
    assert all(sorted(epoch) == splits.train.names for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert drawn != names_drawn(splits, settings, 3 * n, batch=5, seed=2)
    assert drawn == names_drawn(splits, settings, 3 * n, batch=7, seed=1)  # one row, whatever it is cut into


def test_a_batch_larger_than_the_data_goes_round(paired, config):
    paired(3)
    settings = config(size=24, **NONE)
    splits = open_splits(settings)
    drawn = names_drawn(splits, settings, 8, batch=8, seed=0)
    assert all(drawn.count(name) == 4 for name in splits.train.names)  # 8 samples of 2 pairs


def test_threads_and_cache_change_no_bit(paired, config):
    paired(9)
    plain = first_batches(config(workers=0, cache=0.0, **ALL), 6)
    assert same(plain, first_batches(config(workers=3, cache=0.0, **ALL), 6))
    assert same(plain, first_batches(config(workers=1, cache=1.0, **ALL), 6))
    assert not same(plain, first_batches(config(workers=0, cache=0.0, **ALL), 6, seed=1))


def test_reading_from_a_step_is_reading_on(paired, config):
    paired(9)
    assert same(first_batches(config(**ALL), 7)[4:], first_batches(config(**ALL), 3, first=4))


def test_the_same_pair_is_augmented_anew_in_each_epoch(paired, config):
    paired(2)
    batches = first_batches(config(**ALL), 4, batch=1)
    assert len({batch["input"].tobytes() for batch in batches}) == 4


@pytest.mark.parametrize("fit", ["stretch", "scale", "none"])
@pytest.mark.parametrize("augmented", [NONE, ALL])
def test_both_sides_go_through_the_same_geometry(save, tmp_path, config, fit, augmented):
    for index in range(6):
        (tmp_path / "B").mkdir(exist_ok=True)
        (tmp_path / "B" / f"{index}.png").write_bytes(save(f"A/{index}.png", 30, 22).read_bytes())
    for batch in first_batches(config(fit=fit, **augmented), 4):
        assert batch["input"].shape == (4, 16, 16, 3)
        assert np.array_equal(batch["input"], batch["target"])


def test_without_augmentation_a_sample_is_a_square_of_the_image(paired, config):
    paired(2)
    settings = config(**NONE)
    whole = open_splits(settings).train.read(0)
    for batch in first_batches(settings, 5, batch=1):
        places = [
            (top, left)
            for top in range(9)
            for left in range(9)
            if np.array_equal(batch["input"][0], whole[0][top : top + 16, left : left + 16])
        ]
        ((top, left),) = places
        assert np.array_equal(batch["target"][0], whole[1][top : top + 16, left : left + 16])


def test_about_half_are_mirrored(paired, config):
    paired(2)
    settings = config(size=24, flip=True)
    whole = open_splits(settings).train.read(0)[0]
    drawn = [batch["input"][0] for batch in first_batches(settings, 60, batch=1)]
    mirrored = sum(np.array_equal(image, whole[:, ::-1]) for image in drawn)
    assert mirrored + sum(np.array_equal(image, whole) for image in drawn) == 60
    assert 15 <= mirrored <= 45


def test_the_largest_turn_and_zoom_fill_the_square(save, tmp_path, config):
    for side in "AB":
        for index in range(2):
            path = tmp_path / side / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (24, 24), (200, 100, 50)).save(path)
    batches = first_batches(config(rotate=180.0, zoom=1.0), 10)
    assert {tuple(pixel) for batch in batches for pixel in batch["input"].reshape(-1, 3)} == {(200, 100, 50)}


def test_zoom_goes_as_far_out_as_in(tmp_path, config):
    image = np.zeros((64, 64, 3), np.uint8)
    image[24:40, 24:40] = 255
    for side in "AB":
        for index in range(2):
            path = tmp_path / side / f"{index}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path)
    areas = [
        np.mean(batch["input"][:, 16:48, 16:48] > 127) * 4  # without the reflections at the border
        for batch in first_batches(config(size=64, flip=False, zoom=0.5), 60, batch=1)
    ]
    assert 0.35 < min(areas) < 0.6  # (1 / 1.5) ** 2 = 0.44, in whole pixels 0.39
    assert 1.8 < max(areas) < 2.4  # 1.5 ** 2 = 2.25


def test_batches_are_the_callers_own(paired, config):
    paired(2)
    settings = config(size=24, **NONE)
    pairs = open_splits(settings).train
    before = pairs.read(0)[0].copy()
    with Loader(pairs, batch=1, seed=0, threads=2).read() as batches:
        next(batches)["input"][:] = 0
    assert np.array_equal(pairs.read(0)[0], before)


@pytest.mark.parametrize("channels", [(1, 3), (3, 1), (4, 2), (2, 4)])
def test_each_side_has_its_channels(paired, config, channels):
    paired(4)
    settings = config(input_channels=channels[0], target_channels=channels[1], **ALL)
    (batch,) = first_batches(settings, 1)
    assert (batch["input"].shape[3], batch["target"].shape[3]) == channels
    (batch,) = evaluation(open_splits(settings).validation, batch=2, threads=2)
    assert (batch["input"].shape, batch["target"].shape) == tuple((1, 16, 16, c) for c in channels)


def test_evaluation_is_every_pair_in_order_stretched_to_the_square(save, opened, config):
    for index in range(5):
        for side in "AB":
            save(f"test/{side}/{index}.png", 20, 30)
            save(f"train/{side}/{index}.png", 20, 30)
    splits = opened(fit="stretch")
    batches = list(evaluation(splits.test, batch=2, threads=2))
    assert [len(batch["input"]) for batch in batches] == [2, 2, 1]
    expected = [Image.open(save(f"test/B/{name}.png", 20, 30)).resize((16, 16), 3) for name in splits.test.names]
    assert np.array_equal(np.concatenate([batch["target"] for batch in batches]), np.stack(expected))


@pytest.mark.parametrize("fit", ["scale", "none"])
def test_evaluation_of_the_other_fits_is_the_middle(save, config, fit):
    for part in ("train", "val"):
        for side in "AB":
            path = save(f"{part}/{side}/x.png", 40, 20)
    settings = config(fit=fit)
    (batch,) = evaluation(open_splits(settings).validation, batch=8, threads=0)
    image = Image.open(path)
    whole = image.resize((32, 16), Image.Resampling.BICUBIC) if fit == "scale" else image
    left, top = (whole.width - 16) // 2, (whole.height - 16) // 2
    assert np.array_equal(batch["target"][0], np.asarray(whole.crop((left, top, left + 16, top + 16))))


def test_leaving_the_loader_stops_its_threads(paired, config):
    paired(6)
    settings = config()
    before = set(threading.enumerate())
    with Loader(open_splits(settings).train, batch=2, seed=0, threads=3).read() as batches:
        next(batches)
        assert len(set(threading.enumerate()) - before) > 0
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_vanishes_during_training_is_named(paired, config, workers):
    folder = paired(3)
    settings = config(cache=0.0)
    splits = open_splits(settings)
    (folder / "B" / f"{splits.train.names[0]}.png").unlink()
    with (
        Loader(splits.train, batch=4, seed=0, threads=workers).read() as batches,
        pytest.raises(DataError, match=rf"B.{splits.train.names[0]}\.png: No such file"),
    ):
        next(batches)


def test_no_pairs_are_nothing_to_train_on(paired, config):
    paired(2)
    splits = open_splits(config())
    with pytest.raises(DataError, match="nothing to train on"):
        Loader(splits.test, batch=1, seed=0, threads=0)
    assert list(evaluation(splits.test, batch=1, threads=0)) == []


@pytest.mark.parametrize(("count", "shown"), [(3, [0, 3, 6]), (9, [0, 1, 2, 3, 4, 5, 6, 7, 8]), (100, range(9))])
def test_a_few_pairs_are_spread_over_all(paired, config, count, shown):
    paired(9)
    train = open_splits(config(validation=0.0)).train
    few = train.spread(count)
    assert few.names == [train.names[index] for index in shown]
    assert np.array_equal(few.read(1)[0], train.read(shown[1])[0])


def stacked(batches):
    return {side: np.concatenate([batch[side] for batch in batches]) for side in ("input", "target")}


@pytest.mark.parametrize(("parts", "size"), [(1, 2), (2, 1), (2, 2), (1, 4), (4, 1)])
def test_parts_and_processes_read_together_what_one_reads_alone(paired, config, parts, size):
    paired(9)
    settings = config(**ALL)
    samples = open_splits(settings).train
    shared = {"batch": 8, "seed": 3, "threads": 2, "skip": {3}}

    def read(count, **more):
        with Loader(samples, **shared, **more).read(2) as batches:
            return list(islice(batches, count))

    whole = stacked(read(3))
    ranks = [read(3 * parts, parts=parts, rank=rank, size=size) for rank in range(size)]
    assert {len(batch["input"]) for batches in ranks for batch in batches} == {8 // parts // size}
    together = stacked([ranks[rank][step] for step in range(3 * parts) for rank in range(size)])
    assert all(np.array_equal(whole[side], together[side]) for side in whole)


def test_a_batch_that_cannot_be_shared_out_is_a_mistake(paired, config):
    paired(3)
    with pytest.raises(ValueError, match="6 is no multiple of 2 parts of 2 processes"):
        Loader(open_splits(config()).train, batch=6, seed=0, threads=0, parts=2, size=2)


def test_batches_are_left_out_of_the_row_without_changing_the_others(paired, config):
    paired(9)
    settings = config(**ALL)
    samples = open_splits(settings).train
    loader = Loader(samples, batch=2, seed=0, threads=1, skip=[4, 1, 2])
    assert [loader.number(at) for at in range(5)] == [0, 3, 5, 6, 7]
    with loader.read() as batches:
        left = list(islice(batches, 5))
    every = first_batches(settings, 8, batch=2)
    assert same(left, [every[number] for number in (0, 3, 5, 6, 7)])
    with loader.read(2) as batches:
        assert same(left[2:], list(islice(batches, 3)))


@pytest.mark.parametrize(("parts", "size"), [(1, 1), (2, 2)])
def test_a_batch_is_told_by_the_names_of_its_samples(paired, config, parts, size):
    paired(9)
    settings = config(size=24, **NONE)
    splits = open_splits(settings)
    loader = Loader(splits.train, batch=4, seed=5, threads=0, skip=[1], parts=parts, size=size)
    drawn = names_drawn(splits, settings, 12, batch=4, seed=5)
    assert [loader.names(number) for number in range(3)] == [drawn[:4], drawn[4:8], drawn[8:]]


def test_names_of_an_unpaired_batch_are_those_of_both_sides(save, tmp_path, config):
    for side, count in (("A", 5), ("B", 7)):
        for index in range(count):
            save(f"{side}/{side.lower()}{index}.png")
    samples = open_splits(config(size=24, validation=0.0, **NONE), "unpaired").train
    known = {np.asarray(Image.open(path)).tobytes(): path.stem for path in tmp_path.rglob("*.png")}
    loader = Loader(samples, batch=3, seed=2, threads=0)
    with loader.read() as batches:
        for number, batch in enumerate(islice(batches, 4)):
            pixels = zip(batch["input"], batch["target"], strict=True)
            assert loader.names(number) == [f"{known[a.tobytes()]}, {known[b.tobytes()]}" for a, b in pixels]
