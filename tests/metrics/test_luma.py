"""PSNR and SSIM on luma, against numpy and known values of MATLAB's rgb2ycbcr."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from i2i.metrics.luma import luma, psnr_y, ssim_y


def levels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.float64)


def y_of(image):
    """MATLAB's matrix on an image `[3, H, W]` in [0, 255]."""
    red, green, blue = image / 255
    return 16 + 65.481 * red + 128.553 * green + 24.966 * blue


def tensor(array):
    return torch.from_numpy(array).float()


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81.481), ((0, 255, 0), 144.553), ((0, 0, 255), 40.966)],
)
def test_luma_is_that_of_bt_601(colour, expected):
    image = torch.tensor(colour, dtype=torch.float32).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    torch.testing.assert_close(luma(image), torch.full((1, 1, 2, 2), float(expected)), atol=1e-3, rtol=0)


def test_one_channel_stays_as_it_is():
    grey = tensor(levels(2, 1, 4, 5))
    assert torch.equal(luma(grey), grey)


@pytest.mark.parametrize("crop", [0, 2, 4])
def test_psnr_is_of_luma_without_the_border(crop):
    output, target = levels(3, 3, 24, 30), levels(3, 3, 24, 30, seed=1)
    output = target + (output - 128) * np.array([0.02, 0.1, 0.5])[:, None, None, None]
    expected = []
    for one, other in zip(output, target, strict=True):
        difference = (y_of(one) - y_of(other))[crop : 24 - crop, crop : 30 - crop]
        expected.append(10 * np.log10(255**2 / np.mean(difference**2)))
    made = psnr_y(tensor(output), tensor(target), crop)
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-3)


def test_what_differs_in_the_border_alone_differs_in_nothing():
    target = tensor(levels(1, 3, 20, 20))
    output = target.clone()
    output[..., :4] = 0
    assert psnr_y(output, target, 4).item() == 100
    assert psnr_y(output, target, 3).item() < 40
    assert ssim_y(output, target, 4).item() == pytest.approx(1)


def test_what_differs_in_hue_alone_hardly_differs():
    """Red for green of the same luma."""
    red = torch.tensor([200.0, 50.0, 50.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    green = torch.tensor([50.0, 50 + 150 * 65.481 / 128.553, 50.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    assert psnr_y(red, green, 0).item() > 80


def reference_ssim(one, other):
    """Wang et al. 2004, eq. 13, with a Gaussian window of 11 x 11 and sigma 1.5, wherever it lies in the image."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(values):
        return correlate1d(correlate1d(values, window, 0), window, 1)

    of_one, of_other = mean(one), mean(other)
    variances = mean(one**2) - of_one**2, mean(other**2) - of_other**2
    covariance = mean(one * other) - of_one * of_other
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    whole = ((2 * of_one * of_other + c1) * (2 * covariance + c2)) / (
        (of_one**2 + of_other**2 + c1) * (sum(variances) + c2)
    )
    return whole[5:-5, 5:-5].mean()


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_of_luma_without_the_border(channels):
    target = levels(2, channels, 30, 40)
    output = np.clip(target + np.random.default_rng(1).normal(0, 20, target.shape), 0, 255)
    expected = []
    for one, other in zip(output, target, strict=True):
        pair = [image[0] if channels == 1 else y_of(image) for image in (one, other)]
        expected.append(reference_ssim(*(values[4:-4, 4:-4] for values in pair)))
    made = ssim_y(tensor(output), tensor(target), 4)
    np.testing.assert_allclose(made.numpy(), expected, atol=2e-4)
