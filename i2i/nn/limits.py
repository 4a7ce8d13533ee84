"""What a configuration must know of the shared networks; imports no torch, for manifests do not."""

from __future__ import annotations

from typing import Literal

Norm = Literal["batch", "instance", "affine", "none"]


def check_halvings(size: int, times: int) -> None:
    """Raises ValueError where an image of `size` pixels cannot be halved so many times."""
    step = 2**times
    if size % step:
        raise ValueError(
            f"data.size {size} cannot be halved {times} times: choose a multiple of {step}, "
            f"such as {max(1, round(size / step)) * step}"
        )


def check_patches(size: int, layers: int) -> None:
    """Raises ValueError where the last two convolutions of a PatchGAN leave nothing of an image of `size` pixels."""
    if size < 3 * 2**layers:
        raise ValueError(
            f"game.discriminator_layers {layers} leaves no patch of an image of {size} pixels: "
            f"take fewer, or a data.size of {3 * 2**layers} or more"
        )
