"""What was sent, made an image within limits, and the answer's image made a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from i2i import header
from i2i.errors import ImageError
from i2i.images import FORMATS, QUALITY, WRITABLE, encode_for, read
from i2i.serving.errors import InvalidError, NotAnImageError, TooLargeError

if TYPE_CHECKING:
    from PIL import Image

    from i2i.serving.limits import Limits

MEDIA_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".bmp": "image/bmp",
}
ENLARGED: Final = 4  # times the pixels that may go in are what may come out
_ANY: Final = 2**62  # pixels: what is too large is said by us
_NAME: Final = "the image"
_HINT: Final = f"Send one of: {', '.join(FORMATS)}."


def look(data: bytes, limits: Limits, scale: int = 1) -> int:
    """The pixels of an image by its header, before memory is taken for them.

    scale: how many times as large along a side the answer is. Raises TooLargeError, and NotAnImageError.
    """
    if len(data) > limits.bytes:
        raise TooLargeError(f"{_NAME}: {len(data):,} bytes, over the limit of {limits.bytes:,}", "Make it smaller.")
    try:
        said = header.read(data, name=_NAME, max_pixels=_ANY)
    except ImageError as error:
        raise NotAnImageError(error.message, _HINT) from None
    width, height = said.size
    check_pixels(width, height, limits, scale)
    if limits.frames == 1 and header.SEVERAL in said.remarks:
        raise TooLargeError(f"{_NAME}: has several frames or pages, and one is taken", "Send them one by one.")
    return width * height


def check_pixels(width: int, height: int, limits: Limits, scale: int = 1, images: int = 1) -> None:
    """Raises TooLargeError where so many images of a size, or what is made of them, have more pixels than are taken."""
    several = f"{images} images of " if images > 1 else ""
    if images * width * height > limits.pixels:
        raise TooLargeError(
            f"{several or _NAME + ': '}{width} x {height} pixels, over the limit of {limits.pixels:,}",
            "Make it smaller.",
        )
    if images * width * height * scale**2 > ENLARGED * limits.pixels:
        raise TooLargeError(
            f"{several or _NAME + ': '}{width} x {height} pixels, which become {scale} times as large along a side: "
            f"over the limit of {ENLARGED * limits.pixels:,}",
            "Make it smaller.",
        )


def decode(data: bytes, limits: Limits) -> Image.Image:
    """The image in mode L, LA, RGB or RGBA; raises NotAnImageError for what is broken."""
    try:
        return read(data, name=_NAME, max_pixels=limits.pixels, heard=lambda _: None)
    except ImageError as error:
        raise NotAnImageError(error.message, _HINT) from None


def check_form(form: str, quality: int = QUALITY) -> None:
    """Raises InvalidError where no file can be written in this form, by its suffix, and quality, 1 to 100."""
    if form not in WRITABLE:
        raise InvalidError(f"form '{form}': unknown", f"Choose one of: {', '.join(WRITABLE)}.")
    if not 1 <= quality <= 100:
        raise InvalidError(f"quality {quality}: out of range", "Choose one from 1 to 100.")


def encode(image: Image.Image, form: str, quality: int = QUALITY) -> bytes:
    """The image as a file of the form; raises InvalidError where the form does not hold an image of this size."""
    try:
        return encode_for(image, Path(f"image{form}"), quality=quality)
    except ImageError as error:
        raise InvalidError(error.message, error.hint) from None
