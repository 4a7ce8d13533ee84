import math

import numpy as np
import pytest

from i2i.errors import I2IError
from i2i.noise import between, draw

# Written down once: a model must make the same images of a seed in every later version.
KNOWN = [
    ((0, 2, 3, 0), [[-1.8313078, -0.17735435, 0.0382792], [0.396239, 1.186038, 1.9782408]]),
    ((7, 1, 4, 5), [[1.2320327, 0.9266726, -0.47804403, -0.42214814]]),
    ((2**32 - 1, 1, 3, 2**32 - 1), [[-0.1336723, -2.0821564, 0.15198785]]),
]


@pytest.mark.parametrize(("asked", "values"), KNOWN)
def test_the_values_are_those_of_every_version(asked, values):
    drawn = draw(*asked)
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(drawn, values, rtol=1e-6)


def test_an_image_has_its_noise_however_many_there_are():
    many = draw(3, 50, 7)
    np.testing.assert_array_equal(draw(3, 1, 7), many[:1])
    np.testing.assert_array_equal(draw(3, 20, 7, first=30), many[30:])
    assert draw(3, 0, 7).shape == (0, 7)
    np.testing.assert_array_equal(draw(3, 50, 5), many[:, :5])


def test_the_noise_is_normal_and_independent():
    noise = draw(1, 2000, 50).astype(float)
    assert abs(noise.mean()) < 5 / math.sqrt(noise.size)
    assert abs(noise.std() - 1) < 5 / math.sqrt(2 * noise.size)
    assert abs((noise**4).mean() - 3) < 0.1
    correlations = np.corrcoef(np.concatenate([noise.T, draw(2, 2000, 50).astype(float).T]))
    assert np.abs(correlations - np.eye(100)).max() < 5.5 / math.sqrt(2000)
    assert len(np.unique(np.concatenate([draw(seed, 40, 1) for seed in range(40)]))) == 1600


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_beyond_the_range_is_refused(seed):
    with pytest.raises(I2IError, match=rf"seed {seed}: out of range\n  Choose one from 0 to 4294967295"):
        draw(seed, 1, 1)


def test_the_way_between_turns_at_a_constant_speed():
    start, end = np.array([2, 0, 0, 0], np.float32), np.array([0, 0, 2, 0], np.float32)
    way = between(start, end, 7)
    assert way.shape == (7, 4)
    assert way.dtype == np.float32
    expected = [
        [2 * math.cos(math.radians(15 * frame)), 0, 2 * math.sin(math.radians(15 * frame)), 0] for frame in range(7)
    ]
    np.testing.assert_allclose(way, expected, atol=1e-6)


def test_the_way_between_keeps_to_the_length_of_noise():
    start, end = draw(1, 1, 500)[0], draw(2, 1, 500)[0]
    way = between(start, end, 9)
    np.testing.assert_array_equal(way[[0, -1]], [start, end])
    lengths = np.linalg.norm(way, axis=1)
    assert lengths.min() > 0.97 * min(lengths[0], lengths[-1])
    assert np.linalg.norm((start + end) / 2) < 0.8 * lengths.min()  # where a straight line would have been


@pytest.mark.parametrize("factor", [1, 2, 0, -1])
def test_noise_along_one_line_goes_straight(factor):
    start = np.array([1, -2], np.float32)
    np.testing.assert_allclose(between(start, factor * start, 3)[1], start * (1 + factor) / 2, atol=1e-6)
