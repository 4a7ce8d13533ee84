"""An image, or a pair of images, before it is decoded: files, files in memory, halves and parts of larger images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from PIL import Image

from i2i import images
from i2i.errors import DataError, ImageError

Part = Literal["train", "validation", "test"]
PARTS: Final[tuple[Part, ...]] = ("train", "validation", "test")


File = Path | bytes
"""A file, or what one would hold."""


class Source(Protocol):
    """Where one image or one pair comes from; told apart by identity."""

    @property
    def name(self) -> str:
        """What it is called within its split: its path without the suffix, with `/`."""
        ...

    @property
    def files(self) -> tuple[File, ...]:
        """What it is decoded from, by image where each has its own; nothing where it comes out of a package's whole."""
        ...

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image, ...]:
        """The image, or A and B, decoded; raises DataError, which names the file and what is wrong.

        max_bytes: a larger file is refused.
        """
        ...


Parts = dict[Part, list[Source]]
"""The sources of each split that the data tells apart."""


@dataclass(frozen=True)
class Found:
    """The sources that a folder or an embedded set has for one kind of data.

    sides: one, or those of A and of B where they are unrelated. classes: the class of each source, where there are any.
    description: of an embedded set. layout: of a folder, in words. whole: whether all can be read for certain.
    warnings: for the user to see.
    """

    sides: list[Parts]
    classes: dict[Source, str] = field(default_factory=dict)
    description: str = ""
    layout: str = ""
    whole: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class OneImage:
    """An image in a file, or in memory."""

    name: str
    file: Path | Image.Image

    @property
    def files(self) -> tuple[File, ...]:
        """The file, if it is in one."""
        return (self.file,) if isinstance(self.file, Path) else ()

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image]:
        """The image; raises DataError where it cannot be read."""
        return (_read(self.file, self.name, max_bytes) if isinstance(self.file, Path) else self.file,)


@dataclass(frozen=True, eq=False)
class Cut:
    """The same part (left, top, right, bottom) of one or more images that are in memory."""

    name: str
    whole: tuple[Image.Image, ...]
    box: tuple[int, int, int, int]

    @property
    def files(self) -> tuple[File, ...]:
        """None of its own."""
        return ()

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image, ...]:
        """The part of each."""
        return tuple(image.crop(self.box) for image in self.whole)


@dataclass(frozen=True, eq=False)
class OneOf:
    """One image of a pair: 0 is A and 1 is B."""

    pair: Source
    side: int

    @property
    def name(self) -> str:
        """The name of the pair."""
        return self.pair.name

    @property
    def files(self) -> tuple[File, ...]:
        """Its own, where the pair has one for each."""
        return self.pair.files[self.side : self.side + 1]

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image]:
        """The image alone."""
        return (self.pair.open(max_bytes)[self.side],)


@dataclass(frozen=True, eq=False)
class TwoImages:
    """A and B in a file each, or as the bytes of a file each.

    They may differ in resolution but not in proportions: each is resized alone, so they still lie upon each other.
    """

    name: str
    a: File
    b: File

    @property
    def files(self) -> tuple[File, ...]:
        """That of A and that of B."""
        return self.a, self.b

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image, Image.Image]:
        """A and B; raises DataError where one cannot be read, or their proportions differ by more than a pixel."""
        a, b = (self.open_side(side, max_bytes) for side in (0, 1))
        if not same_proportions(a.size, b.size):
            raise DataError(
                f"{self.name}: A is {a.width} x {a.height} pixels and B {b.width} x {b.height}: not of one shape",
                "Cut A and B of this name to the same part of the scene; only their resolution may differ.",
            )
        return a, b

    def open_side(self, side: int, max_bytes: int = images.MAX_BYTES) -> Image.Image:
        """A (0) or B (1) alone; raises DataError where it cannot be read."""
        return _read((self.a, self.b)[side], self.name, max_bytes)


@dataclass(frozen=True, eq=False)
class SideBySide:
    """A and B as the left and the right half of one image, as pytorch-CycleGAN-and-pix2pix has them."""

    name: str
    path: Path

    @property
    def files(self) -> tuple[File, ...]:
        """The one that holds both."""
        return (self.path,)

    def open(self, max_bytes: int = images.MAX_BYTES) -> tuple[Image.Image, Image.Image]:
        """The left half and the right one; raises DataError where the file cannot be read or has no two halves."""
        both = _read(self.path, self.name, max_bytes)
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


def _read(file: File, name: str, max_bytes: int) -> Image.Image:
    def heard(warning: str) -> None:
        """Damaged metadata is told once, when all are looked at before training."""

    try:
        return images.read(file, name=None if isinstance(file, Path) else name, max_bytes=max_bytes, heard=heard)
    except ImageError as error:
        raise DataError(error.message, error.hint) from error
