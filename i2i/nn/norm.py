"""Normalisation by name."""

from __future__ import annotations

from torch import nn

from i2i.nn.limits import Norm


def normalised(channels: int, norm: Norm) -> list[nn.Module]:
    """The layer that normalises `[N, channels, H, W]`, or none.

    batch: affine, with running averages. instance: neither, as in CycleGAN. affine: instance norm with a scale and a
    shift of its own for each channel.
    """
    match norm:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "instance":
            return [nn.InstanceNorm2d(channels)]
        case "affine":
            return [nn.InstanceNorm2d(channels, affine=True)]
        case "none":
            return []


def needs_bias(norm: Norm) -> bool:
    """Whether a convolution before this norm has a bias: batch norm brings its own."""
    return norm != "batch"
