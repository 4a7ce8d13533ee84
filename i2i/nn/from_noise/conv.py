"""DCGAN's convolutional networks (Radford et al. 2016, arXiv:1511.06434)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2i.nn.limits import Norm
from i2i.nn.norm import needs_bias, normalised


def _widths(size: int, filters: int) -> list[int]:
    """Features from size/2 pixels down to 4: doubled with each halving, up to eight times."""
    return [filters * min(2**level, 8) for level in range(size.bit_length() - 3)]


class ConvGenerator(nn.Module):
    """Noise, and the class beside it, projected to 4 x 4 pixels and doubled in size until it is an image.

    arXiv:1511.06434, section 3 and figure 1: transposed convolutions of stride 2, batch norm and ReLU in all layers
    but the last, tanh at the end. The kernels are 4 x 4 where figure 1 has 5 x 5: a kernel that is a multiple of the
    stride reaches every pixel equally often, and the other draws a chequered pattern (Odena et al. 2016,
    doi:10.23915/distill.00003).
    """

    def __init__(self, inputs: int, channels: int, *, size: int, filters: int = 128) -> None:
        super().__init__()
        width, *narrower = reversed(_widths(size, filters))
        net: list[nn.Module] = [nn.ConvTranspose2d(inputs, width, 4, 1, 0, bias=False), nn.BatchNorm2d(width)]
        for next_width in narrower:
            net += [nn.ReLU(), nn.ConvTranspose2d(width, next_width, 4, 2, 1, bias=False), nn.BatchNorm2d(next_width)]
            width = next_width
        self.net = nn.Sequential(*net, nn.ReLU(), nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Images `[N, channels, size, size]` in [-1, 1] of noise `[N, Z]` and conditions `[N, K]`, Z + K `inputs`."""
        seed = noise if condition is None else torch.cat([condition, noise], 1)
        images: Tensor = self.net(seed[:, :, None, None])
        return images


class ConvDiscriminator(nn.Module):
    """Judges an image as a whole, seen together with its condition: one constant plane for each of its numbers.

    arXiv:1511.06434, section 3: convolutions of stride 2 down to 4 x 4 pixels, LeakyReLU 0.2, normalised but for the
    first layer and the last; no sigmoid, the objective takes logits.
    """

    def __init__(
        self, channels: int, conditions: int = 0, *, size: int, filters: int = 128, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        width, *wider = _widths(size, filters)
        net: list[nn.Module] = [nn.Conv2d(conditions + channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for next_width in wider:
            net += [nn.Conv2d(width, next_width, 4, 2, 1, bias=needs_bias(norm)), *normalised(next_width, norm)]
            net.append(nn.LeakyReLU(0.2))
            width = next_width
        self.net = nn.Sequential(*net, nn.Conv2d(width, 1, 4))

    def forward(self, image: Tensor, condition: Tensor | None) -> Tensor:
        """Logits `[N, 1]` of images `[N, channels, size, size]` in [-1, 1] and conditions `[N, conditions]`."""
        seen = image
        if condition is not None:
            planes = condition.to(image.dtype)[:, :, None, None].expand(-1, -1, *image.shape[2:])
            seen = torch.cat([planes, image], 1)
        logits: Tensor = self.net(seen)
        return logits.flatten(1)
