"""Gradient penalties on a discriminator, in float32, or float64 where the images are, whatever the networks compute in.

D(x) is the mean of an image's logits, as in the objectives: a PatchGAN has many, and their sum would make a penalty
grow with the size of the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor

from i2i.games.game import Match
from i2i.nn.precision import precise

Penalty = Callable[[Match], Tensor]


def gradient_penalty(match: Match) -> Tensor:
    """E[(|grad D(x')| - 1)^2] at x' drawn evenly between a real and a fake image (arXiv:1704.00028, eq. 3)."""
    shape = (len(match.real), *[1] * (match.real.dim() - 1))
    real, fake = precise(match.real), precise(match.fake)
    between = torch.lerp(real, fake, torch.rand(shape, device=real.device).to(real.dtype))
    norm = (_squared_gradient(match, between) + 1e-12).sqrt()  # the root has no derivative at zero
    return (norm - 1).square().mean()


def r1(match: Match) -> Tensor:
    """E[|grad D(x)|^2] / 2 at real images (Mescheder et al. 2018, arXiv:1801.04406, eq. 9)."""
    return _squared_gradient(match, match.real).mean() / 2


def r2(match: Match) -> Tensor:
    """E[|grad D(x)|^2] / 2 at fake images (arXiv:1801.04406, eq. 10)."""
    return _squared_gradient(match, match.fake).mean() / 2


PENALTIES: Final[Mapping[str, Penalty]] = {"gradient_penalty": gradient_penalty, "r1": r1, "r2": r2}


def _squared_gradient(match: Match, images: Tensor) -> Tensor:
    """|grad D|^2 of each image, `[N]`, with a graph to differentiate again; the condition is held fixed."""
    images = precise(images.detach()).requires_grad_(True)
    with torch.autocast(images.device.type, enabled=False):
        logits = match.discriminator(images, match.condition)
        (gradient,) = torch.autograd.grad(logits.flatten(1).mean(1).sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1)
