"""The sliced Wasserstein distance against scipy in one dimension, and what it sees in images."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from scipy.stats import wasserstein_distance

from i2i.errors import I2IError
from i2i.metrics.sliced import Patches, pyramid, sliced_wasserstein, wasserstein


@pytest.mark.parametrize("counts", [(50, 50), (50, 80), (81, 7), (1, 5)])
def test_in_one_dimension_it_is_scipys(counts):
    rng = np.random.default_rng(0)
    one, other = (rng.normal(shift, 1 + shift, size=(count, 3)) for shift, count in enumerate(counts))
    expected = [wasserstein_distance(one[:, column], other[:, column]) for column in range(3)]
    np.testing.assert_allclose(wasserstein(one, other), expected, rtol=1e-6)


def test_it_is_the_mean_over_directions():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(40, 5)), rng.normal(1, 2, size=(60, 5))
    directions = rng.normal(size=(7, 5))
    expected = np.mean([wasserstein_distance(one @ each, other @ each) for each in directions])
    found = sliced_wasserstein(*(torch.tensor(each) for each in (one, other, directions)))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_pyramid_is_what_smaller_images_lack_and_gives_the_image_back():
    image = torch.tensor(np.random.default_rng(2).random((1, 2, 50, 67)))
    levels = pyramid(image)
    assert [tuple(level.shape[2:]) for level in levels] == [(50, 67), (25, 34)]
    line = np.array([1, 4, 6, 4, 1]) / 16
    binomial = np.outer(line, line)
    smaller = correlate(image[0, 1].numpy(), binomial, mode="mirror")[::2, ::2]
    np.testing.assert_allclose(levels[1][0, 1].numpy(), smaller, rtol=1e-9)
    spread = np.zeros((50, 67))
    spread[::2, ::2] = 4 * smaller
    expected = image[0, 1].numpy() - correlate(spread, binomial, mode="mirror")
    np.testing.assert_allclose(levels[0][0, 1].numpy(), expected, rtol=1e-9, atol=1e-12)


def noise(count, side=32, seed=0, channels=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, side, side, generator=generator) * 2 - 1


def swd(output, target):
    measure = Patches(paired=False)
    for begin in range(0, len(output), 8):
        measure.add(output[begin : begin + 8], target[begin : begin + 8], {})
    return measure.take()["swd"]


def test_the_same_images_have_none_and_what_is_blurred_has_more_than_other_noise():
    target, other = noise(60), noise(60, seed=1)
    blurred = torch.nn.functional.avg_pool2d(other, 5, stride=1, padding=2)
    found = [swd(images, target).statistic.value() for images in (target, other, blurred)]
    assert found[0] == 0
    assert 0 < 1.5 * found[1] < found[2]
    assert swd(target, target).key == "swd-laplacian2-patches64x7-directions128-n60"


def test_it_does_not_see_the_contrast_of_a_channel_which_is_normalised():
    target = noise(16)
    faint = torch.round((target * 0.5 + 1) * 127.5) / 127.5 - 1
    assert swd(faint, target).statistic.value() < 0.1 * swd(noise(16, seed=1), target).statistic.value()


def test_small_images_and_such_of_two_sizes_are_refused():
    with pytest.raises(I2IError, match="swd: images of 15 x 15 pixels are too small"):
        swd(noise(4, side=15), noise(4, side=15))
    measure = Patches(paired=False)
    measure.add(noise(2), noise(2), {})
    with pytest.raises(I2IError, match=r"swd: images of \[3, 32, 32\] and of \[3, 40, 40\]"):
        measure.add(noise(2, side=40), noise(2, side=40), {})
