"""Initial weights."""

from __future__ import annotations

from torch import nn


def he_(module: nn.Module, gain: float = 1.0) -> None:
    """Draws weights from N(0, 2 / fan-in), times `gain`, and zeroes the biases, for networks without normalisation.

    He et al. 2015, arXiv:1502.01852, section 2.2: activations keep their scale through ReLUs, where N(0, 0.02), which
    counts on batch norm, lets them vanish within a few layers.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            # A transposed convolution of stride s is fed by its input channels through k^2 / s^2 taps.
            taps = 1.0
            if isinstance(part, nn.Conv2d):
                taps = float(part.kernel_size[0] * part.kernel_size[1])
            elif isinstance(part, nn.ConvTranspose2d):
                taps = part.kernel_size[0] * part.kernel_size[1] / (part.stride[0] * part.stride[1])
            inputs = part.in_features if isinstance(part, nn.Linear) else part.in_channels
            nn.init.normal_(part.weight, 0.0, gain * (2 / (inputs * taps)) ** 0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


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
