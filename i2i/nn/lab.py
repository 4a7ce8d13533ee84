"""Colour as CIELAB, around a network that is given lightness and makes the rest."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# sRGB with the white of D65 (IEC 61966-2-1; CIE 15), as scikit-image has them, on whose numbers such networks learned.
_TO_XYZ: Final = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE: Final = (0.95047, 1.0, 1.08883)
_TO_LAB: Final = ((0.0, 116.0, 0.0), (500.0, -500.0, 0.0), (0.0, 200.0, -200.0))


class Colouring(nn.Module):
    """A network from lightness to colour, L / 50 - 1 to a / 110 and b / 110, as one from RGB to RGB.

    As `--model colorization` of pytorch-CycleGAN-and-pix2pix trains, after Zhang et al. 2016, arXiv:1603.08511.
    """

    to_white: Tensor
    from_white: Tensor
    to_lab: Tensor
    from_lab: Tensor
    black: Tensor
    least: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        to_white = torch.tensor(_TO_XYZ, dtype=torch.float64) / torch.tensor(_WHITE, dtype=torch.float64)[:, None]
        to_lab = torch.tensor(_TO_LAB, dtype=torch.float64)
        for name, matrix in (("white", to_white), ("lab", to_lab)):
            self.register_buffer(f"to_{name}", matrix.float(), persistent=False)
            self.register_buffer(f"from_{name}", matrix.inverse().float(), persistent=False)
        # scikit-image lets only Z begin at nothing.
        self.register_buffer("least", torch.tensor([-1e6, -1e6, 0.0]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("black", torch.tensor([16.0, 0.0, 0.0]).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """RGB `[N, 3, H, W]` in [-1, 1], its own colours unseen, to the same in the colours of the network."""
        lightness = self._lightness(image)
        chroma = 110 * self.network(lightness / 50 - 1)
        return self._rgb(torch.cat([lightness, chroma], 1))

    def _lightness(self, image: Tensor) -> Tensor:
        share = (image + 1) / 2
        linear = torch.where(share > 0.04045, ((share + 0.055) / 1.055) ** 2.4, share / 12.92)
        xyz = _mix(self.to_white, linear)
        root = torch.where(xyz > 0.008856, xyz.clamp(min=1e-6) ** (1 / 3), 7.787 * xyz + 16 / 116)
        return _mix(self.to_lab[:1], root) - 16

    def _rgb(self, lab: Tensor) -> Tensor:
        root = torch.maximum(_mix(self.from_lab, lab + self.black), self.least)
        xyz = torch.where(root > 0.2068966, root**3, (root - 16 / 116) / 7.787)
        linear = _mix(self.from_white, xyz).clamp(0, 1)
        share = torch.where(linear > 0.0031308, 1.055 * linear.clamp(min=1e-6) ** (1 / 2.4) - 0.055, 12.92 * linear)
        return 2 * share - 1


def _mix(matrix: Tensor, colours: Tensor) -> Tensor:
    """Each pixel of `[N, 3, H, W]` times a matrix."""
    return F.conv2d(colours, matrix[:, :, None, None])
