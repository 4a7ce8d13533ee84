"""The U-Net generator of pix2pix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.nn.limits import Norm
from i2i.nn.norm import needs_bias, normalised


class UNet(nn.Module):
    """An encoder of stride-2 convolutions and a decoder back, with a skip connection at every resolution.

    Isola et al. 2017, arXiv:1611.07004, section 6.1.1: 4x4 kernels; `filters`, doubled at each layer up to eight times;
    LeakyReLU 0.2 going down, ReLU going up; dropout in the `dropout_blocks` decoder blocks that follow the innermost,
    as in the authors' later implementation.
    The innermost layer is not normalised: at 1x1 there is nothing to take statistics of.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        depth: int,
        filters: int = 64,
        norm: Norm = "batch",
        dropout: float = 0.5,
        dropout_blocks: int = 3,
    ) -> None:
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(depth)]
        self.multiple = self.minimum = 2**depth
        self.downs = nn.ModuleList()
        self.ups = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[level - 1] if level else channels_in
            self.downs.append(
                nn.Sequential(
                    *([nn.LeakyReLU(0.2)] if level else []),
                    nn.Conv2d(before, width, 4, 2, 1, bias=needs_bias(norm)),
                    *(normalised(width, norm) if 0 < level < depth - 1 else []),
                )
            )
        for level in range(depth - 1, 0, -1):
            innermost = level == depth - 1
            noisy = not innermost and level >= depth - 1 - dropout_blocks and dropout > 0
            self.ups.append(
                nn.Sequential(
                    nn.ReLU(),
                    nn.ConvTranspose2d(
                        widths[level] * (1 if innermost else 2), widths[level - 1], 4, 2, 1, bias=needs_bias(norm)
                    ),
                    *normalised(widths[level - 1], norm),
                    *([nn.Dropout(dropout)] if noisy else []),
                )
            )
        self.ups.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * filters, channels_out, 4, 2, 1), nn.Tanh()))

    def forward(self, image: Tensor) -> Tensor:
        """Images `[N, channels_in, H, W]` in [-1, 1] to `[N, channels_out, H, W]` in [-1, 1]; H, W in `multiple`s."""
        features: Tensor = image
        skips = []
        for down in self.downs:
            features = down(features)
            skips.append(features)
        features = skips.pop()
        for number, up in enumerate(self.ups):
            features = up(features if number == 0 else torch.cat([skips.pop(), features], 1))
        return features
