"""The generator of ESRGAN."""

from __future__ import annotations

from itertools import accumulate
from math import log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from i2i.nn.init import he_

SLOPE = 0.2  # of the LeakyReLUs below zero
KEPT = 0.2  # of what a block makes, beside what it was given
INITIAL = 0.1  # of the deviation that keeps the scale, for the first weights of the blocks


class DenseBlock(nn.Module):
    """x + 0.2 f(x), f five 3x3 convolutions, each of which sees x and what all before it have made.

    Huang et al. 2017, arXiv:1608.06993, as in arXiv:1809.00219, section 3.1: four of `growth` filters, each with a
    LeakyReLU, and one back to `filters`.
    """

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        seen = accumulate([filters, *[growth] * 4])
        made = [*[growth] * 4, filters]
        self.layers = nn.ModuleList(nn.Conv2d(wide, out, 3, 1, 1) for wide, out in zip(seen, made, strict=True))

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, filters, H, W]` to the same shape."""
        seen = features
        *growing, last = self.layers
        for layer in growing:
            seen = torch.cat([seen, F.leaky_relu(layer(seen), SLOPE)], 1)
        changed: Tensor = last(seen)
        return features + KEPT * changed


class RRDB(nn.Module):
    """A residual-in-residual dense block, x + 0.2 f(x), f three dense blocks (arXiv:1809.00219, figure 4)."""

    def __init__(self, filters: int, growth: int) -> None:
        super().__init__()
        self.net = nn.Sequential(*[DenseBlock(filters, growth) for _ in range(3)])

    def forward(self, features: Tensor) -> Tensor:
        """Features `[N, filters, H, W]` to the same shape."""
        changed: Tensor = self.net(features)
        return features + KEPT * changed


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks at low resolution, then repeated pixels and convolutions; no normalisation.

    Wang et al. 2018, arXiv:1809.00219, section 3.1 and figure 4, as in the authors' BasicSR: 3x3 convolutions, a long
    skip around all blocks, for each doubling a convolution on repeated pixels, LeakyReLU 0.2. A scale of 3 is one
    tripling. Inside, images are in [0, 1], so that the zeros around them are black.
    unshuffle: the blocks work on so many times fewer pixels along a side, and there are the more doublings, as in
    Real-ESRGAN (Wang et al. 2021, arXiv:2107.10833, section 3.4), whose networks for a scale of 2 and 1 have that for
    4 behind a pixel-unshuffle of 2 and 4. The unshuffle and the 3x3 convolution after it are one convolution here, of
    that stride, with the same weights.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        scale: int = 4,
        filters: int = 64,
        blocks: int = 23,
        growth: int = 32,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        steps = enlargements(scale * unshuffle)
        self.scale = scale
        self.multiple = unshuffle
        self.head = nn.Conv2d(channels_in, filters, 3 * unshuffle, unshuffle, unshuffle)
        self.body = nn.Sequential(*[RRDB(filters, growth) for _ in range(blocks)], nn.Conv2d(filters, filters, 3, 1, 1))
        self.up = nn.Sequential()
        for times in steps:
            self.up.extend([nn.Upsample(scale_factor=times), nn.Conv2d(filters, filters, 3, 1, 1), nn.LeakyReLU(SLOPE)])
        self.tail = nn.Sequential(
            nn.Conv2d(filters, filters, 3, 1, 1), nn.LeakyReLU(SLOPE), nn.Conv2d(filters, channels_out, 3, 1, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Images `[N, channels_in, H, W]` in [-1, 1] to `[N, channels_out, scale * H, scale * W]`, about in [-1, 1].

        H and W are multiples of `multiple`.
        """
        features = self.head((image + 1) / 2)
        made: Tensor = self.tail(self.up(features + self.body(features)))
        return 2 * made - 1


def enlargements(times: int) -> tuple[int, ...]:
    """By what an RRDBNet enlarges one after the other; raises ValueError for what is no power of 2, nor 3."""
    if times == 3:
        return (3,)
    if times < 1 or times & (times - 1):
        raise ValueError(f"an RRDBNet enlarges 3 times, or doubles: {times} times is neither")
    return (2,) * round(log2(times))


@torch.no_grad()
def begin_small_(network: RRDBNet) -> None:
    """Draws small first weights for the dense blocks (arXiv:1809.00219, section 3.1); all others are as torch's."""
    for part in network.modules():
        if isinstance(part, DenseBlock):
            he_(part, INITIAL)
