"""The generator of BasicSR's MSRGAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.init import he_

SLOPE = 0.1  # of the LeakyReLUs below zero
INITIAL = 0.1  # of the deviation that keeps the scale: as drawn, the blocks change next to nothing


class BareBlock(nn.Module):
    """x + f(x), f two 3x3 convolutions with a ReLU between them and no norm.

    Lim et al. 2017, arXiv:1707.02921, section 3.1 and figure 2c.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(filters, filters, 3, 1, 1), nn.ReLU(), nn.Conv2d(filters, filters, 3, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, filters, H, W]` to the same shape."""
        changed: Tensor = self.net(features)
        return features + changed


class MSRResNet(nn.Module):
    """SRResNet without batch norm, which makes what bilinear interpolation of the image lacks.

    Ledig et al. 2017, arXiv:1609.04802, as the authors of ESRGAN changed it for their BasicSR: 3x3 convolutions
    throughout, residual blocks at low resolution without a skip around them all, one sub-pixel convolution for a scale
    of 2 or 3 and two for 4, LeakyReLU 0.1. Inside, images are in [0, 1], so that the zeros around them are black.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, scale: int = 4, filters: int = 64, blocks: int = 16
    ) -> None:
        super().__init__()
        if scale not in (2, 3, 4):
            raise ValueError(f"MSRResNet enlarges 2, 3 or 4 times, not {scale}")
        if channels_in != channels_out:
            raise ValueError(f"MSRResNet adds to the image: {channels_in} channels cannot become {channels_out}")
        self.scale = scale
        self.head = nn.Conv2d(channels_in, filters, 3, 1, 1)
        self.body = nn.Sequential(*[BareBlock(filters) for _ in range(blocks)])
        self.up = nn.Sequential()
        for times in (2, 2) if scale == 4 else (scale,):
            conv = nn.Conv2d(filters, times**2 * filters, 3, 1, 1)
            self.up.extend([conv, nn.PixelShuffle(times), nn.LeakyReLU(SLOPE)])
        self.tail = nn.Sequential(
            nn.Conv2d(filters, filters, 3, 1, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(filters, channels_out, 3, 1, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Images `[N, channels_in, H, W]` in [-1, 1] to `[N, channels_out, scale * H, scale * W]`, about in [-1, 1]."""
        light = (image + 1) / 2
        features = self.body(F.leaky_relu(self.head(light), SLOPE))
        base = F.interpolate(light, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        made: Tensor = self.tail(self.up(features)) + base
        return 2 * made - 1


@torch.no_grad()
def begin_as_bilinear_(network: MSRResNet) -> None:
    """Draws small first weights, with which the network makes nearly the bilinear interpolation, as BasicSR does."""
    he_(network, INITIAL)
