"""PSNR, SSIM and MS-SSIM against scikit-image and against the papers' equations in float64."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from i2i.errors import I2IError
from i2i.metrics.luma import psnr_y, ssim_y
from i2i.metrics.paired import mae, psnr
from i2i.metrics.similarity import EXPONENTS, ms_ssim, ssim

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


def pair(count=3, channels=3, height=40, width=52, noise=20, seed=0):
    """Smooth images of whole levels and the same with noise, in float32 as they come from a game."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(width) / 7 + rng.random((count, channels, height, 1)) * 0.5)
    target = np.round(128 + 100 * waves + rng.normal(0, 3, (count, channels, height, width))).clip(0, 255)
    spread = noise * np.arange(1, count + 1)[:, None, None, None] / count
    output = np.round(target + rng.normal(0, 1, target.shape) * spread).clip(0, 255)
    return output, target


def tensors(*arrays):
    return [torch.from_numpy(array).float() for array in arrays]


def y_of(image):
    """MATLAB's matrix on an image `[3, H, W]` in [0, 255]."""
    return 16 + np.tensordot([65.481, 128.553, 24.966], image / 255, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_ssim_and_mae_are_scikit_images(channels):
    output, target = pair(channels=channels)
    expected = {
        psnr: [peak_signal_noise_ratio(b, a, data_range=255) for a, b in zip(output, target, strict=True)],
        ssim: [structural_similarity(a, b, channel_axis=0, **WANG) for a, b in zip(output, target, strict=True)],
        mae: np.abs(output - target).mean((1, 2, 3)),
    }
    for score, values in expected.items():
        found = score(*tensors(output, target))
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-6)


@pytest.mark.parametrize("crop", [0, 4])
def test_psnr_and_ssim_of_luma_are_scikit_images_without_the_border(crop):
    output, target = pair()
    inner = [
        [y_of(image)[crop : 40 - crop, crop : 52 - crop] for image in both] for both in zip(output, target, strict=True)
    ]
    expected = [peak_signal_noise_ratio(b, a, data_range=255) for a, b in inner]
    np.testing.assert_allclose(psnr_y(*tensors(output, target), crop).numpy(), expected, rtol=1e-6)
    expected = [structural_similarity(a, b, **WANG) for a, b in inner]
    np.testing.assert_allclose(ssim_y(*tensors(output, target), crop).numpy(), expected, rtol=1e-6)


def test_flat_images_are_as_exact():
    """Where variances are small differences of large squares."""
    rng = np.random.default_rng(3)
    target = 250 + rng.integers(0, 2, (1, 3, 32, 32)).astype(np.float64)
    output = 250 + rng.integers(0, 2, (1, 3, 32, 32)).astype(np.float64)
    expected = structural_similarity(output[0], target[0], channel_axis=0, **WANG)
    assert ssim(*tensors(output, target)).item() == pytest.approx(expected, rel=1e-6)


def test_images_without_a_difference_have_a_psnr_of_100_and_an_ssim_of_1():
    image = tensors(pair()[0])[0]
    assert psnr(image, image).tolist() == [100.0] * 3
    assert ssim(image, image).tolist() == pytest.approx([1.0] * 3)


def test_images_smaller_than_the_window_are_continued_by_their_border():
    output, target = pair(count=1, height=8, width=30)
    border = ((0, 0), (0, 0), (1, 2), (0, 0))
    wide = [np.pad(each, border, mode="edge") for each in (output, target)]
    assert ssim(*tensors(output, target)).item() == pytest.approx(ssim(*tensors(*wide)).item(), rel=1e-12)


def places(image):
    """Means under the window of 11 x 11, sigma 1.5, at each place in the image."""
    window = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window /= window.sum()
    return correlate1d(correlate1d(image, window, 0), window, 1)[5:-5, 5:-5]


def reference_ms_ssim(one, other):
    """Wang et al. 2003, eq. 7, of one channel."""
    c1, c2, found = (0.01 * 255) ** 2, (0.03 * 255) ** 2, 1.0
    for number, exponent in enumerate(EXPONENTS):
        m1, m2 = places(one), places(other)
        v1, v2 = places(one**2) - m1**2, places(other**2) - m2**2
        structure = (2 * (places(one * other) - m1 * m2) + c2) / (v1 + v2 + c2)
        luminance = (2 * m1 * m2 + c1) / (m1**2 + m2**2 + c1)
        found *= np.mean(structure * luminance if number == 4 else structure) ** exponent
        height, width = (side // 2 * 2 for side in one.shape)
        one, other = (
            each[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for each in (one, other)
        )
    return found


def test_ms_ssim_is_that_of_the_paper():
    assert sum(EXPONENTS) == pytest.approx(1, abs=1e-3)
    output, target = pair(count=2, height=180, width=193)
    expected = [
        np.mean([reference_ms_ssim(a, b) for a, b in zip(one, other, strict=True)])
        for one, other in zip(output, target, strict=True)
    ]
    np.testing.assert_allclose(ms_ssim(*tensors(output, target)).numpy(), expected, rtol=1e-6)


def test_ms_ssim_of_small_images_is_refused_and_the_opposite_of_an_image_is_0():
    with pytest.raises(I2IError, match="ms_ssim: images of 300 x 175 pixels are too small") as caught:
        ms_ssim(torch.zeros(1, 1, 175, 300), torch.zeros(1, 1, 175, 300))
    assert "176 x 176" in caught.value.hint
    image = tensors(pair(count=1, height=176, width=176)[1])[0]
    assert ms_ssim(255 - image, image).item() == 0
