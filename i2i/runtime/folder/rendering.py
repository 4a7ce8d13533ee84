"""How images are read and written, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from i2i import header
from i2i.errors import I2IError
from i2i.images import MAX_PIXELS


@dataclass(frozen=True)
class Rendering:
    """How images are read and written."""

    flatten: bool = False
    quality: int | None = None  # 1 to 100, of JPEG, WebP and video; None: what is usual
    keep_metadata: bool = False
    max_pixels: int = MAX_PIXELS
    rate: float = 25.0  # frames a second, of a video that is made of images

    def of_images(self) -> dict[str, object]:
        """What the bytes of an image depend on."""
        return {"flatten": self.flatten, "quality": self.quality, "keep_metadata": self.keep_metadata}


PLAIN: Final = Rendering()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one input."""

    name: str
    output: Path | None = None
    size: tuple[int, int] | None = None  # width and height of the output
    seconds: float = 0.0  # reading, translating and writing, without waiting
    error: I2IError | None = None
    kept: bool = False  # an earlier call made it
    note: str | None = None  # what of the input is changed or left out, and why the result is an approximation


def remarks(source: Path | bytes, name: str, rendering: Rendering) -> tuple[str, ...]:
    """What of an image file is changed or left out when it is decoded; raises ImageError as `images.read` does."""
    found = header.read(source, name=name, max_pixels=rendering.max_pixels)
    return tuple(f"an input {remark}" for remark in found.remarks)


def joined(*notes: str | None) -> str | None:
    """Several notes as one; None where there are none."""
    return "; ".join(note for note in notes if note) or None
