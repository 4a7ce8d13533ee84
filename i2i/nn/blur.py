"""Halving without aliasing: blur, then take every second pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BlurredHalving(nn.Module):
    """Every second pixel of an image that was blurred by (1, 2, 1) / 4 along both sides, on reflected borders.

    Zhang 2019, arXiv:1904.11486, section 3.2, the filter "Triangle-3". It has nothing to learn and no place among the
    weights.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        triangle = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(triangle, triangle).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, channels, H, W]`, H and W at least 2, to `[N, channels, ceil(H / 2), ceil(W / 2)]`."""
        return F.conv2d(F.pad(features, (1, 1, 1, 1), "reflect"), self.kernel, stride=2, groups=features.shape[1])


def antialiased(net: nn.Sequential) -> nn.Sequential:
    """The layers of `net`, taken over, whose convolutions no longer halve: a `BlurredHalving` does, after the ReLU.

    A convolution of stride 2 gets stride 1; the ReLU or LeakyReLU that follows it is followed by the halving. Zhang
    2019, arXiv:1904.11486, section 3.2, eq. 5.
    """
    layers: list[nn.Module] = []
    halved: int | None = None
    for layer in net:
        layers.append(layer)
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            layer.stride = (1, 1)
            halved = layer.out_channels
        elif halved is not None and isinstance(layer, nn.ReLU | nn.LeakyReLU):
            layers.append(BlurredHalving(halved))
            halved = None
    return nn.Sequential(*layers)
