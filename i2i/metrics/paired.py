"""Differences of each image from its target, pixel by pixel."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

PSNR_CEILING = 100.0  # dB, for images that differ in nothing


def psnr(output: Tensor, target: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, `[N]` in float64, of images `[N, C, H, W]` in [0, 255], over all channels."""
    score = peak_signal_noise_ratio(output.double(), target.double(), data_range=255.0, dim=(1, 2, 3), reduction="none")
    return score.clamp(max=PSNR_CEILING)


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference in 255ths, `[N]` in float64, of images `[N, C, H, W]` in [0, 255]."""
    return (output - target).abs().double().flatten(1).mean(1)
