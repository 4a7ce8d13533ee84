"""PSNR and SSIM of super-resolution: on the luma of BT.601 alone, without the outermost pixels.

The protocol of Ledig et al. 2017, arXiv:1609.04802, section 4.1, and of most papers since Timofte et al. 2013: Y as
MATLAB's rgb2ycbcr computes it, in [16, 235], and a border as wide as the scale left out; SSIM is that of Wang et al.
2004 (Gaussian window of 11 x 11, sigma 1.5; data range 255). The paper's own SSIM is of the daala package, whose window
grows with the image, and is not comparable.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from i2i.metrics.paired import PSNR_CEILING

RADIUS = 5  # of SSIM's window


def luma(images: Tensor) -> Tensor:
    """Y of BT.601 of images `[N, 3, H, W]` in [0, 255], as `[N, 1, H, W]` in [16, 235]; one channel stays as it is."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=images.dtype, device=images.device)
    return 16 + (images * weights.view(1, 3, 1, 1) / 255).sum(1, keepdim=True)


def psnr_y(output: Tensor, target: Tensor, crop: int) -> Tensor:
    """PSNR on Y in dB, `[N]`, of images `[N, C, H, W]` in [0, 255], C 1 or 3, without `crop` pixels on each side."""
    score = peak_signal_noise_ratio(
        _inner(output, crop), _inner(target, crop), data_range=255.0, dim=(1, 2, 3), reduction="none"
    )
    return score.clamp(max=PSNR_CEILING)


def ssim_y(output: Tensor, target: Tensor, crop: int) -> Tensor:
    """SSIM on Y, `[N]`, of images `[N, C, H, W]` in [0, 255], C 1 or 3, without `crop` pixels on each side.

    The mean over windows that lie in the image, as in Wang's own program; over all where it is too small for these.
    """
    result = structural_similarity_index_measure(
        _inner(output, crop), _inner(target, crop), data_range=255.0, reduction="none", return_full_image=True
    )
    assert isinstance(result, tuple)
    places = result[1]
    if min(places.shape[2:]) > 2 * RADIUS:
        places = places[..., RADIUS:-RADIUS, RADIUS:-RADIUS]
    return places.flatten(1).mean(1)


def _inner(images: Tensor, crop: int) -> Tensor:
    height, width = images.shape[2:]
    return luma(images)[..., crop : height - crop, crop : width - crop]
