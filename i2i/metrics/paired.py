"""Scores of translated images against their targets, as deployed: on pixels rounded to 255ths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

PSNR_CEILING = 100.0  # dB, for images that differ in nothing


@dataclass(frozen=True)
class Metric:
    """score: (output, target), both `[N, C, H, W]` in [0, 255], to `[N]`."""

    score: Callable[[Tensor, Tensor], Tensor]
    higher_is_better: bool
    unit: str = ""


def _psnr(output: Tensor, target: Tensor) -> Tensor:
    score = peak_signal_noise_ratio(output, target, data_range=255.0, dim=(1, 2, 3), reduction="none")
    return score.clamp(max=PSNR_CEILING)


def _ssim(output: Tensor, target: Tensor) -> Tensor:
    score = structural_similarity_index_measure(output, target, data_range=255.0, reduction="none")
    assert isinstance(score, Tensor)
    return score


def _mae(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().flatten(1).mean(1)


METRICS: Final[Mapping[str, Metric]] = {
    # Over all channels of an image at once, then the mean over images.
    "psnr": Metric(_psnr, higher_is_better=True, unit=" dB"),
    # Wang et al. 2004: Gaussian window of 11 x 11, sigma 1.5; the mean over channels.
    "ssim": Metric(_ssim, higher_is_better=True),
    "mae": Metric(_mae, higher_is_better=False),
}


def to_levels(images: Tensor) -> Tensor:
    """Images in [-1, 1] as the whole numbers 0 to 255 that a file would hold, in float32."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255)


def score(output: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Every metric of images `[N, C, H, W]` in [-1, 1] against their targets, each `[N]`."""
    output, target = to_levels(output), to_levels(target)
    return {name: metric.score(output, target) for name, metric in METRICS.items()}
