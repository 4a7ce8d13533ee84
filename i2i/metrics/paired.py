"""Scores of one image against its target."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

PSNR_CEILING = 100.0  # dB, for images that differ in nothing


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, `[N]`, of images `[N, C, H, W]` in [0, 255], over all channels at once."""
    score = peak_signal_noise_ratio(output, target, data_range=255.0, dim=(1, 2, 3), reduction="none")
    return score.clamp(max=PSNR_CEILING)


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """Structural similarity, `[N]`, of images `[N, C, H, W]` in [0, 255]; the mean over channels.

    Wang et al. 2004: Gaussian window of 11 x 11, sigma 1.5.
    """
    score = structural_similarity_index_measure(output, target, data_range=255.0, reduction="none")
    assert isinstance(score, Tensor)
    return score


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference in 255ths, `[N]`, of images `[N, C, H, W]` in [0, 255]."""
    return (output - target).abs().flatten(1).mean(1)
