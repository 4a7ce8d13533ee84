"""The PatchGAN discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.nn.limits import Norm
from i2i.nn.norm import needs_bias, normalised


class PatchGAN(nn.Module):
    """Judges every patch of an image, seen together with its condition, as real or fake.

    Isola et al. 2017, arXiv:1611.07004, section 6.1.2: 4x4 convolutions, `layers` of stride 2 and two of stride 1, so
    that a logit sees 70 x 70 pixels at `layers` = 3; LeakyReLU 0.2; no sigmoid, the objective takes logits.
    """

    def __init__(self, channels: int, *, filters: int = 64, layers: int = 3, norm: Norm = "batch") -> None:
        super().__init__()
        net: list[nn.Module] = [nn.Conv2d(channels, filters, 4, 2, 1), nn.LeakyReLU(0.2)]
        width = filters
        for layer in range(1, layers + 1):
            wider = filters * min(2**layer, 8)
            stride = 2 if layer < layers else 1
            net += [nn.Conv2d(width, wider, 4, stride, 1, bias=needs_bias(norm)), *normalised(wider, norm)]
            net.append(nn.LeakyReLU(0.2))
            width = wider
        net.append(nn.Conv2d(width, 1, 4, 1, 1))
        self.net = nn.Sequential(*net)

    def forward(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """Logits `[N, 1, h, w]` of images `[N, C, H, W]` and conditions of the same size; all values in [-1, 1]."""
        logits: Tensor = self.net(image if condition is None else torch.cat([condition, image], 1))
        return logits
