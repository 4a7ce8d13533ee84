"""What an image file says before it is decoded, and what of the file the decoded image does not show."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from i2i.images import MAX_PIXELS, WRITABLE, opening
from i2i.pillow import BROKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import ImageFile

SEVERAL: Final = "of several frames or pages, of which the first is used"
DEEP: Final = "of more than 8 bits a channel, which are reduced to 8"
RENAMED: Final = "of another format than the name says, read as what it is"
DAMAGED: Final = "with damaged metadata, which is left out"
_DEPTHS: Final = {"1": 1, "I": 16, "F": 32}
_CONVERTED: Final = ("CMYK", "YCbCr", "LAB", "HSV")
_FORMATS: Final = WRITABLE | {".gif": "GIF"} | dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
_KIN: Final = {"MPO": "JPEG"}  # a JPEG file with further pictures behind the first
_PNG_DEPTH: Final = 24  # bytes before it
_BITS_PER_SAMPLE: Final = 258  # of TIFF


@dataclass(frozen=True)
class Header:
    """One image file.

    size: width and height, as stored. form: the format. bits: a channel. remarks: what of the file is changed or left
    out when it is decoded, each such that "photo.tif: " goes before it.
    """

    size: tuple[int, int]
    form: str
    bits: int
    remarks: tuple[str, ...]


def read(
    source: Path | bytes, *, name: str | None = None, max_pixels: int = MAX_PIXELS, max_bytes: int | None = None
) -> Header:
    """Reads the header of an image file, or of its bytes; raises ImageError as `images.read` does."""
    where = name if name is not None else (str(source) if isinstance(source, Path) else "image")
    heard: list[str] = []
    file = source if isinstance(source, Path) else io.BytesIO(source)
    with opening(file, where, max_pixels, max_bytes=max_bytes, heard=heard.append) as opened:
        size, form, bits = opened.size, opened.format or "?", _bits(opened)
        remarks = tuple(_remarks(opened, bits, source.suffix.lower() if isinstance(source, Path) else ""))
        sound = _sound_exif(opened)
    return Header(size, form, bits, remarks if sound and not heard else (*remarks, DAMAGED))


def _remarks(opened: ImageFile.ImageFile, bits: int, suffix: str) -> Iterator[str]:
    form = _KIN.get(opened.format or "", opened.format)
    if suffix in _FORMATS and _FORMATS[suffix] != form:
        yield RENAMED
    if getattr(opened, "is_animated", False) and opened.format not in _KIN:
        yield SEVERAL
    if opened.mode in _CONVERTED:
        yield f"in {opened.mode}, which becomes RGB without regard to a profile"
    if bits > 8:
        yield DEEP


def _bits(opened: ImageFile.ImageFile) -> int:
    """Bits a channel as they are stored: Pillow decodes more than 8 of a colour to 8, and does not say so."""
    if opened.format == "PNG" and opened.fp is not None:
        here = opened.fp.tell()
        opened.fp.seek(_PNG_DEPTH)
        (bits,) = opened.fp.read(1)
        opened.fp.seek(here)
        return int(bits)
    if opened.format == "TIFF":
        return int(opened.tag_v2.get(_BITS_PER_SAMPLE, (1,))[0])  # type: ignore[attr-defined]
    depth = _DEPTHS.get(opened.mode.partition(";")[0], 8)
    if opened.format == "PPM" and opened.tile and isinstance(opened.tile[0].args, tuple):
        return max(depth, int(opened.tile[0].args[1]).bit_length())  # the largest level
    return depth


def _sound_exif(opened: ImageFile.ImageFile) -> bool:
    """Whether the EXIF that the header holds can be read: of a JPEG Pillow has read it, and keeps mistakes to itself.

    What a PNG may hold behind its pixels is not looked for: all of it would be decoded.
    """
    held = opened.info.get("exif")
    if not isinstance(held, bytes):
        return True
    try:
        Image.Exif().load(held)
    except BROKEN:
        return False
    return True
