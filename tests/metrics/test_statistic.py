"""Intervals: what is drawn, and that about 95 % of them hold what they are to hold."""

import numpy as np
import pytest
import torch
from scipy import stats

from i2i.metrics.deviation import Deviation, deviation
from i2i.metrics.frechet import Frechet
from i2i.metrics.kernel import KernelDistance
from i2i.metrics.manifold import Covered
from i2i.metrics.parzen import Parzen, parzen
from i2i.metrics.sets import Rows, TwoSets
from i2i.metrics.sliced import Sliced
from i2i.metrics.statistic import Mean, student


def rows(array):
    return Rows.one_each(torch.from_numpy(np.asarray(array)))


def kernel(x, y):
    return (x @ y / len(x) + 1) ** 3


def drawn_distance(made, real, of_made, of_real):
    """The distance of what was drawn, image by image; two copies of one image are no pair."""

    def within(features, drawn):
        return np.mean([kernel(features[i], features[j]) for i in drawn for j in drawn if i != j])

    across = np.mean([kernel(made[i], real[j]) for i in of_made for j in of_real])
    return within(made, of_made) + within(real, of_real) - 2 * across


def test_a_drawn_kernel_distance_is_of_pairs_that_are_not_copies():
    rng = np.random.default_rng(0)
    made, real = rng.normal(size=(7, 4)), rng.normal(0.5, 1, size=(9, 4))
    sets = TwoSets(rows(made), rows(real))
    found = KernelDistance(sets).resampled(20, seed=3)
    for draw, (of_made, of_real) in enumerate(zip(*sets.repeats(20, seed=3), strict=True)):
        lists = [np.repeat(np.arange(len(each)), each.astype(int)) for each in (of_made, of_real)]
        assert found[draw] == pytest.approx(drawn_distance(made, real, *lists))
    assert len(set(found.tolist())) == 21


def test_of_paired_sets_an_image_meets_its_own_target_as_often_as_it_comes():
    rng = np.random.default_rng(1)
    real = rng.normal(size=(6, 3))
    made = real + 0.1 * rng.normal(size=real.shape)
    sets = TwoSets(rows(made), rows(real), paired=True)
    found = KernelDistance(sets).resampled(10, seed=0)
    for draw, (repeats, same) in enumerate(zip(*sets.repeats(10, seed=0), strict=True)):
        assert repeats.tolist() == same.tolist()
        drawn = np.repeat(np.arange(6), repeats.astype(int))
        within = sum(
            np.mean([kernel(each[i], each[j]) for i in drawn for j in drawn if i != j]) for each in (made, real)
        )
        apart = np.mean([kernel(made[i], real[j]) for i in drawn for j in drawn if i != j])
        own = np.mean([kernel(made[i], real[i]) for i in drawn])
        assert found[draw] == pytest.approx(within - 2 * (5 / 6 * apart + own / 6))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("tiles", [1, 3])
def test_the_mean_over_drawn_kernel_distances_is_the_distance(paired, tiles):
    rng = np.random.default_rng(2)
    numbers = torch.arange(12).repeat_interleave(tiles)
    middles = rng.normal(size=(12, 1, 3))
    real = torch.tensor((middles + 0.2 * rng.normal(size=(12, tiles, 3))).reshape(-1, 3))
    statistic = KernelDistance(TwoSets(Rows(real + 0.3, numbers), Rows(real, numbers), paired))
    found = statistic.resampled(4000, seed=0)
    assert found[0] == pytest.approx(statistic.value())
    error = found[1:].std() / 4000**0.5
    assert found[1:].mean() == pytest.approx(found[0], abs=4 * error)


def test_a_mean_is_drawn_with_replacement_and_always_the_same():
    each = np.random.default_rng(3).normal(5, 2, size=50)
    mean = Mean(each)
    score = mean.bounded(mean.resampled(4000, seed=1))
    assert score.value == each.mean()
    reach = stats.t.ppf(0.975, 49) * each.std(ddof=1) / 50**0.5
    assert (score.low, score.high) == pytest.approx((each.mean() - reach, each.mean() + reach), abs=0.1 * reach)
    assert score == mean.bounded(mean.resampled(4000, seed=1)) != mean.bounded(mean.resampled(4000, seed=2))


def test_one_image_has_no_interval():
    for statistic in (Mean(np.array([3.0])), Covered(TwoSets(rows(np.ones((1, 2))), rows(np.ones((1, 2)))))):
        score = statistic.bounded(statistic.resampled(100, seed=0))
        assert (score.low, score.high) == (None, None)


def test_of_a_few_images_a_kernel_distance_has_none():
    rng = np.random.default_rng(4)
    made, real = rng.normal(size=(2, 8, 3))
    for count, known in ((2, False), (7, False), (8, True)):
        statistic = KernelDistance(TwoSets(rows(made[:count]), rows(real[:count])))
        score = statistic.bounded(statistic.resampled(100, seed=0))
        assert (score.low is not None, score.high is not None) == (known, known)


@pytest.mark.parametrize("count", [3, 4, 6, 9, 10])
def test_intervals_of_means_of_a_few_images_hold_the_truth_as_often_as_they_say(count):
    rng = np.random.default_rng(count)
    missed = 0
    for number in range(600):
        mean = Mean(rng.normal(1.0, 2.0, size=count))
        score = mean.bounded(mean.resampled(300, seed=number))
        missed += not score.low <= 1.0 <= score.high
    assert missed / 600 < 0.08  # 0.05, and three times its error


def test_parzen_and_deviation_of_halves_are_those_of_the_images_alone():
    rng = np.random.default_rng(5)
    made, real = (torch.from_numpy(rng.integers(0, 256, (20, 6), dtype=np.uint8)) for _ in range(2))
    labels = torch.arange(20) % 2
    sets = TwoSets(Rows.one_each(made), Rows.one_each(real), paired=True)
    spread = Deviation(sets, labels).resampled(0, seed=0)
    likelihood = Parzen(sets).resampled(0, seed=0)
    assert likelihood[0] == pytest.approx(parzen(made / 255, real / 255))
    compared = 0
    for number, (one, other) in enumerate(sets.halves(Parzen.splits, seed=0), 1):
        assert one.tolist() == other.tolist()
        assert one.sum() == 10
        expected = deviation(made[one], labels[one]) / deviation(real[one], labels[one])
        assert spread[number] == pytest.approx(expected)
        # Of the half, too, images of even number choose the width.
        even, odd = (list(real[begin::2][one[begin::2]]) for begin in (0, 1))
        if len(even) == len(odd):
            mixed = torch.stack([image for both in zip(even, odd, strict=True) for image in both])
            compared += 1
            assert likelihood[number] == pytest.approx(parzen(made[one] / 255, mixed / 255))
    assert compared > 5


@pytest.mark.parametrize("freedom", [1, 2, 7, 10, 11, 19, 20, 50, 1000])
def test_students_t_is_scipys(freedom):
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=4e-4)


def normal_sets(rng, count, dimensions):
    return TwoSets(rows(rng.normal(0.5, 1.2, size=(count, dimensions))), rows(rng.normal(size=(count, dimensions))))


CASES = {
    "mean": lambda rng: Mean(rng.normal(size=15)),
    "skewed mean": lambda rng: Mean(rng.exponential(size=60)),
    "kernel distance": lambda rng: KernelDistance(normal_sets(rng, 40, 8)),
    "frechet distance": lambda rng: Frechet(normal_sets(rng, 40, 8)),
    "precision": lambda rng: Covered(normal_sets(rng, 50, 4)),
    "recall": lambda rng: Covered(normal_sets(rng, 50, 4), reverse=True),
    "sliced": lambda rng: Sliced(TwoSets(rows(rng.exponential(size=(40, 6))), rows(rng.normal(size=(40, 6)))), 1, 1),
    "deviation": lambda rng: Deviation(normal_sets(rng, 40, 6)),
}


@pytest.mark.parametrize("case", CASES)
def test_about_95_of_100_intervals_hold_the_mean_over_sets_as_large(case):
    rng = np.random.default_rng(6)
    values, held = [], []
    for number in range(150):
        statistic = CASES[case](rng)
        held.append(statistic.bounded(statistic.resampled(200, seed=number)))
        values += [score.value for score in held[-1:]]
    values += [CASES[case](rng).value() for _ in range(300)]
    truth = np.mean(values)
    share = np.mean([score.low <= truth <= score.high for score in held])
    assert 0.9 <= share <= 0.99
    widths = np.array([score.high - score.low for score in held])
    assert widths.mean() == pytest.approx(2 * 1.96 * np.std(values), rel=0.35)
