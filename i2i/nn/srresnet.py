"""The generator of SRGAN."""

from __future__ import annotations

from math import log2

import torch
from torch import Tensor, nn

SLOPE = 0.25  # of torch's PReLU below zero, before it is trained


class PlainBlock(nn.Module):
    """x + f(x), f two 3x3 convolutions, each with batch norm, a PReLU between them.

    Gross & Wilber 2016, "Training and investigating residual nets", as in arXiv:1609.04802, figure 4.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters),
            nn.PReLU(),
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, filters, H, W]` to the same shape."""
        changed: Tensor = self.net(features)
        return features + changed


class SRResNet(nn.Module):
    """Residual blocks at low resolution, then sub-pixel convolutions that double it, `log2(scale)` of them.

    Ledig et al. 2017, arXiv:1609.04802, section 2.1.1 and figure 4: 9x9 convolutions at both ends, PReLUs of one
    parameter, a long skip around all blocks. The paper names no activation at the end: there is none here, so that a
    white pixel is as easily reached as a grey one; what is beyond [-1, 1] is cut off where pixels are made.
    """

    def __init__(
        self, channels_in: int, channels_out: int, *, scale: int = 4, filters: int = 64, blocks: int = 16
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Sequential(nn.Conv2d(channels_in, filters, 9, 1, 4), nn.PReLU())
        self.body = nn.Sequential(
            *[PlainBlock(filters) for _ in range(blocks)],
            nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
            nn.BatchNorm2d(filters),
        )
        self.up = nn.Sequential()
        for _ in range(round(log2(scale))):
            self.up.extend([nn.Conv2d(filters, 4 * filters, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()])
        self.tail = nn.Conv2d(filters, channels_out, 9, 1, 4)

    def forward(self, image: Tensor) -> Tensor:
        """Images `[N, channels_in, H, W]` in [-1, 1] to `[N, channels_out, scale * H, scale * W]`, about in [-1, 1]."""
        features = self.head(image)
        made: Tensor = self.tail(self.up(features + self.body(features)))
        return made


@torch.no_grad()
def begin_as_interpolation_(network: SRResNet) -> None:
    """Sets first weights with which the network enlarges by quadratic interpolation, as many channels in as out.

    A network that first has to learn what an image is takes thousands of steps to be as good as bicubic interpolation.
    Each colour runs through two features, itself and its negative: PReLU(x) - PReLU(-x) = (1 + slope) x is linear. The
    sub-pixel convolutions hold Lagrange's polynomials at a quarter of a pixel to either side. The long skip's other
    branch starts at zero, as in Goyal et al. 2017, arXiv:1706.02677, section 5.1, and the last convolution knows no
    other feature yet. Everything else is as drawn.
    """
    head, tail, last = network.head[0], network.tail, network.body[-1]
    assert isinstance(head, nn.Conv2d)
    assert isinstance(last, nn.BatchNorm2d)
    pairs = [(2 * colour, 2 * colour + 1) for colour in range(tail.out_channels)]
    used = 2 * len(pairs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(tail.weight)
    for parameter in (head.weight[:used], _bias(head)[:used], _bias(tail)):
        parameter.zero_()
    for colour, (plus, minus) in enumerate(pairs):
        head.weight[plus, colour, 4, 4], head.weight[minus, colour, 4, 4] = 1, -1
        tail.weight[colour, plus, 4, 4], tail.weight[colour, minus, 4, 4] = 1 / (1 + SLOPE), -1 / (1 + SLOPE)
    for layer in network.up:
        if isinstance(layer, nn.Conv2d):
            _double_(layer, pairs)


def _double_(layer: nn.Conv2d, pairs: list[tuple[int, int]]) -> None:
    """Makes a sub-pixel convolution interpolate the features in `pairs`; output 4 c + 2 y + x is feature c's (y, x)."""
    shifted = [torch.tensor([t * (t - 1) / 2, 1 - t * t, t * (t + 1) / 2]) for t in (-0.25, 0.25)]
    kernels = torch.stack([torch.outer(rows, columns) for rows in shifted for columns in shifted]) / (1 + SLOPE)
    used = 4 * 2 * len(pairs)
    layer.weight[:used] = 0
    _bias(layer)[:used] = 0
    for plus, minus in pairs:
        for made, sign in ((plus, 1), (minus, -1)):
            layer.weight[4 * made : 4 * made + 4, plus] = sign * kernels
            layer.weight[4 * made : 4 * made + 4, minus] = -sign * kernels


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
