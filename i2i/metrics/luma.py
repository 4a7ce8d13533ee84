"""PSNR and SSIM of super-resolution: on the luma of BT.601 alone, without the outermost pixels.

The protocol of Ledig et al. 2017, arXiv:1609.04802, section 4.1, and of most papers since Timofte et al. 2013: Y as
MATLAB's rgb2ycbcr computes it, in [16, 235], and a border as wide as the scale left out; SSIM is that of Wang et al.
2004 (Gaussian window of 11 x 11, sigma 1.5; data range 255). The paper's own SSIM is of the daala package, whose window
grows with the image, and is not comparable.
"""

from __future__ import annotations

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.metrics.paired import psnr
from i2i.metrics.similarity import ssim


def luma(images: Tensor) -> Tensor:
    """Y of BT.601 of images `[N, 3, H, W]` in [0, 255], as `[N, 1, H, W]` in [16, 235]; one channel stays as it is."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=images.dtype, device=images.device)
    return 16 + (images * weights.view(1, 3, 1, 1) / 255).sum(1, keepdim=True)


def psnr_y(output: Tensor, target: Tensor, crop: int) -> Tensor:
    """PSNR on Y in dB, `[N]` in float64, of images `[N, C, H, W]` in [0, 255], C 1 or 3.

    crop: pixels that are left out on each side.
    """
    return psnr(_inner(output, crop), _inner(target, crop))


def ssim_y(output: Tensor, target: Tensor, crop: int) -> Tensor:
    """SSIM on Y, `[N]` in float64, of images `[N, C, H, W]` in [0, 255], C 1 or 3.

    crop: pixels that are left out on each side.
    """
    return ssim(_inner(output, crop), _inner(target, crop))


def _inner(images: Tensor, crop: int) -> Tensor:
    height, width = images.shape[2:]
    if min(height, width) <= 2 * crop:
        raise I2IError(
            f"{width} x {height} pixels: nothing is left without {crop} on each side, as psnr_y and ssim_y leave out",
            "Score larger images, or leave these metrics out.",
        )
    return luma(images.double())[..., crop : height - crop, crop : width - crop]
