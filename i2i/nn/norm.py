"""Normalisation by name."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm

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


def differentiate_rightly_(module: nn.Module) -> None:
    """Gives the instance norms in `module` the right gradients for a single image, whatever their layout in memory.

    torch (2.15, on processors) differentiates instance norm of a batch of one wrongly, by as much as the gradient
    itself, where the gradient that comes in is channels_last: as it is wherever a convolution follows in that format.
    """
    for part in module.modules():
        if isinstance(part, _InstanceNorm):
            part.register_forward_hook(_with_plain_gradient)


def _with_plain_gradient(norm: nn.Module, given: tuple[Tensor, ...], normalised: Tensor) -> None:
    if len(normalised) == 1 and normalised.requires_grad:
        normalised.register_hook(Tensor.contiguous)  # type: ignore[no-untyped-call]
