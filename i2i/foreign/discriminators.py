"""Discriminators, known by name so that nobody has to wonder why one makes no images."""

from __future__ import annotations

import re
from typing import Final

from i2i.foreign.layout import Tensors

# A tensor that each has and the generators have not, its number of dimensions, and which discriminator it is of.
_KNOWN: Final = (
    ("conv0_0.weight", 4, "VGGStyleDiscriminator of BasicSR"),
    ("conv9.weight", 4, "UNetDiscriminatorSN of BasicSR"),
    ("classifier.0.weight", 2, "one of SRGAN or ESRGAN"),
)


def discriminator(tensors: Tensors) -> str | None:
    """Which discriminator these tensors are of; None where they are of none that is known."""
    for name, dimensions, what in _KNOWN:
        if name in tensors and tensors[name].dim() == dimensions:
            return what
    return _pixel(tensors) or _patch(tensors, "model") or _patch(tensors, "net") or _dense(tensors)


def _pixel(tensors: Tensors) -> str | None:
    first = tensors.get("net.0.weight")
    if first is None or first.shape[2:] != (1, 1):
        return None
    return f"pixel of pytorch-CycleGAN-and-pix2pix, of {_seen(first.shape[1])}"


def _patch(tensors: Tensors, within: str) -> str | None:
    """A PatchGAN: 4x4 convolutions in a row, the last of which makes one channel."""
    kernels = {
        int(found[1]): tensor
        for name, tensor in tensors.items()
        if (found := re.fullmatch(rf"{within}\.(\d{{1,9}})\.weight(_orig)?", name)) and tensor.dim() == 4
    }
    if 0 not in kernels or any(kernel.shape[2:] != (4, 4) for kernel in kernels.values()):
        return None
    if kernels[max(kernels)].shape[0] != 1:
        return None
    layers = len(kernels) - 2
    called = {"model": "basic" if layers == 3 else "n_layers", "net": "i2i's PatchGAN"}[within]
    project = " of pytorch-CycleGAN-and-pix2pix" if within == "model" else ""
    return f"{called}{project}, with {layers} layers, of {_seen(kernels[0].shape[1])}"


def _dense(tensors: Tensors) -> str | None:
    """The one of our srgan: convolutions, then dense layers down to one number."""
    dense = [tensor for name, tensor in tensors.items() if name.startswith("net.") and tensor.dim() == 2]
    return "i2i's VGGStyle" if dense and dense[-1].shape[0] == 1 and "net.0.weight" in tensors else None


def _seen(channels: int) -> str:
    together = ", which are an input and an output together" if channels in (2, 6) else ""
    return f"{channels} channels{together}"
