"""Initial weights."""

from __future__ import annotations

from torch import nn


def normal_(module: nn.Module, deviation: float = 0.02) -> None:
    """Draws convolution weights from N(0, deviation), batch-norm scales from N(1, deviation), and zeroes the biases.

    Radford et al. 2016, arXiv:1511.06434, section 3; pix2pix, arXiv:1611.07004, section 6.2.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, deviation)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, deviation)
        else:
            continue
        if part.bias is not None:
            nn.init.zeros_(part.bias)
