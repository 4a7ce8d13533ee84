"""A pair of images before it is decoded: two files, two files in memory, or one file with both side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from PIL import Image

from i2i import images
from i2i.errors import DataError, ImageError

Part = Literal["train", "validation", "test"]


class Source(Protocol):
    """Where one pair comes from; told apart by identity."""

    @property
    def name(self) -> str:
        """What the pair is called within its split: its path without the suffix, with `/`."""
        ...

    def open(self) -> tuple[Image.Image, Image.Image]:
        """A and B, decoded, of the same proportions; raises DataError, which names the file and what is wrong."""
        ...


@dataclass(frozen=True, eq=False)
class TwoImages:
    """A and B in a file each, or as the bytes of a file each.

    They may differ in resolution but not in proportions: each is resized alone, so they still lie upon each other.
    """

    name: str
    a: Path | bytes
    b: Path | bytes

    def open(self) -> tuple[Image.Image, Image.Image]:
        """A and B; raises DataError where one cannot be read, or their proportions differ by more than a pixel."""
        a, b = (_read(file, self.name) for file in (self.a, self.b))
        if not same_proportions(a.size, b.size):
            raise DataError(
                f"{self.name}: A is {a.width} x {a.height} pixels and B {b.width} x {b.height}: not of one shape",
                "Cut A and B of this name to the same part of the scene; only their resolution may differ.",
            )
        return a, b


@dataclass(frozen=True, eq=False)
class SideBySide:
    """A and B as the left and the right half of one image, as pytorch-CycleGAN-and-pix2pix has them."""

    name: str
    path: Path

    def open(self) -> tuple[Image.Image, Image.Image]:
        """The left half and the right one; raises DataError where the file cannot be read or has no two halves."""
        both = _read(self.path, self.name)
        if not has_halves(both.size):
            raise DataError(
                f"{self.path}: {both.width} x {both.height} pixels: not A and B side by side, "
                "which is of even width and at least 1.5 times as wide as high",
                "Where A and B are files of their own, put them in folders named A and B.",
            )
        half = both.width // 2
        return both.crop((0, 0, half, both.height)), both.crop((half, 0, both.width, both.height))


def has_halves(size: tuple[int, int]) -> bool:
    """Whether an image of this width and height can be two images side by side."""
    width, height = size
    return width % 2 == 0 and 2 * width >= 3 * height


def same_proportions(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one (width, height) is the other enlarged or reduced and rounded to whole pixels."""
    return abs(one[0] * other[1] - one[1] * other[0]) <= max(sum(one), sum(other)) // 2


def _read(file: Path | bytes, name: str) -> Image.Image:
    try:
        return images.read(file, name=None if isinstance(file, Path) else name)
    except ImageError as error:
        raise DataError(error.message, error.hint) from error
