"""Augmentation that gradients flow through: both players see augmented images, and the data stay what they are.

Not by kornia: its colours are made for [0, 1], are cut off there, where no gradient is left, and take seven times as
long; its translations interpolate between pixels. Here what is not changed stays the same bit for bit, and all has
second derivatives, which penalties on gradients want.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from i2i.errors import TrainingError

_KINDS: Final = 5  # brightness, saturation, contrast, translation, cutout
_NUMBERS: Final = _KINDS + 7  # for each image: whether, and how much; two of each of the last two, down and right
_SHIFT: Final = 1 / 8  # of the side, at most
_CUT: Final = 1 / 2  # of the side


@dataclass(frozen=True)
class DiffAugment:
    """Colour, translation and cutout for batches (Zhao et al. 2020, arXiv:2006.10738, section 3.2).

    Brightness moves by up to 0.5; contrast changes to between half and one and a half; saturation, of images of three
    channels, to between none and double; an image moves by up to an eighth of its side, and a square of half the side
    is cut out, both filled with 0, which is grey.
    """

    colour: bool = False
    translation: bool = False
    cutout: bool = False

    @property
    def active(self) -> bool:
        """Whether anything is done."""
        return self.colour or self.translation or self.cutout

    def __call__(self, images: Tensor, condition: Tensor | None, probability: float) -> tuple[Tensor, Tensor | None]:
        """Images `[N, C, H, W]` and their condition; each of the five falls on each image with this probability.

        A condition `[N, C, h, w]` of more than one pixel a side is moved and cut as its image is, and keeps its
        colours; any other is left. Where neither size is a multiple of the other, they agree to half a pixel. Numbers
        come from the random state of the CPU, as many for each image whatever is done. Raises TrainingError for what is
        no batch of images.
        """
        if images.dim() != 4:
            raise TrainingError(
                f"stability.augment: a discriminator is shown {list(images.shape)}, which are no images [N, C, H, W]",
                "Turn stability.augment off for this game.",
            )
        drawn = torch.rand(len(images), _NUMBERS, dtype=torch.float64)
        falls, amounts = drawn[:, :_KINDS] < probability, drawn[:, _KINDS:]
        if self.colour:
            images = _coloured(images, falls[:, :3], amounts[:, :3])
        if not (self.translation or self.cutout):
            return images, condition
        moved = [images]
        if condition is not None and condition.dim() == 4 and min(condition.shape[2:]) > 1:
            moved.append(condition)
        cells = tuple(_cells([image.shape[side] for image in moved]) for side in (2, 3))
        if self.translation and falls[:, 3].any():
            shifts = [_shifts(side, falls[:, 3], amounts[:, 3 + place]) for place, side in enumerate(cells)]
            moved = [_translated(image, shifts, cells) for image in moved]
        if self.cutout and falls[:, 4].any():
            spans = [_spans(side, falls[:, 4], amounts[:, 5 + place]) for place, side in enumerate(cells)]
            moved = [_cut(image, spans, cells) for image in moved]
        return moved[0], moved[1] if len(moved) > 1 else condition


def _coloured(images: Tensor, falls: Tensor, amounts: Tensor) -> Tensor:
    """Written so that an image on which nothing falls stays as it is, bit for bit."""
    if not falls.any():
        return images
    # Brightness is added, saturation and contrast are how much more than all of the difference to the mean there is.
    least, range_ = amounts.new_tensor([-0.5, -1, -0.5]), amounts.new_tensor([1.0, 2, 1])
    strengths = torch.where(falls, least + range_ * amounts, 0.0).to(images.device, images.dtype)
    brightness, saturation, contrast = (strength.view(-1, 1, 1, 1) for strength in strengths.unbind(1))
    images = images + brightness
    if images.shape[1] == 3:
        images = images + saturation * (images - images.mean(1, keepdim=True))
    return images + contrast * (images - images.mean((1, 2, 3), keepdim=True))


def _cells(sides: Sequence[int]) -> int:
    """Into how many cells a side is divided, so that they are whole pixels in all images where that can be."""
    return min(sides) if max(sides) % min(sides) == 0 else sides[0]


def _shifts(cells: int, falls: Tensor, amounts: Tensor) -> list[int]:
    """By how many cells each image moves along one side."""
    most = int(_SHIFT * cells + 0.5)
    return [
        _whole(amount, 2 * most + 1) - most if fall else 0
        for fall, amount in zip(falls.tolist(), amounts.tolist(), strict=True)
    ]


def _spans(cells: int, falls: Tensor, amounts: Tensor) -> list[tuple[int, int]]:
    """From which to before which cell each image is cut along one side; the square may stick out."""
    length = int(_CUT * cells + 0.5)
    spans = []
    for fall, amount in zip(falls.tolist(), amounts.tolist(), strict=True):
        start = _whole(amount, cells + 1 - length % 2) - length // 2
        spans.append((max(0, start), min(cells, start + length)) if fall else (0, 0))
    return spans


def _translated(images: Tensor, shifts: Sequence[Sequence[int]], cells: Sequence[int]) -> Tensor:
    down, right = (
        [round(shift * size / count) for shift in along]
        for along, size, count in zip(shifts, images.shape[2:], cells, strict=True)
    )
    # Padded by less than nothing on the other side: exact, in any precision, and kept in its memory format.
    pieces = [
        F.pad(image, (x, -x, y, -y)) if x or y else image
        for image, y, x in zip(images.chunk(len(images)), down, right, strict=True)
    ]
    return torch.cat(pieces)


def _cut(images: Tensor, spans: Sequence[Sequence[tuple[int, int]]], cells: Sequence[int]) -> Tensor:
    inside = []
    for along, size, count in zip(spans, images.shape[2:], cells, strict=True):
        ends = torch.tensor([[round(end * size / count) for end in span] for span in along])[:, :, None]
        pixels = torch.arange(size)
        inside.append((pixels >= ends[:, 0]) & (pixels < ends[:, 1]))
    rows, columns = (along.to(images.device) for along in inside)
    cut = (rows[:, :, None] & columns[:, None, :])[:, None]
    return torch.where(cut, images.new_zeros(()), images)  # masked_fill forgets the memory format


def _whole(amount: float, count: int) -> int:
    """One of so many whole numbers from 0, by a number in [0, 1)."""
    return min(int(amount * count), count - 1)
