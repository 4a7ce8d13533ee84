"""Images read by windows: what is held in memory is a piece, not the image."""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Protocol, final

from PIL import ExifTags

from i2i import metadata
from i2i.images import MAX_PIXELS, MODES, from_pixels, opening, plain, to_pixels
from i2i.runtime.strips import rows_vips
from i2i.runtime.strips.spool import Spool, need_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from PIL import Image, ImageFile

    from i2i.images import Pixels
    from i2i.metadata import Metadata

_STRIP: Final = 2**20  # pixels
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_TELLING: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_KEYWORD: Final = 80  # bytes at most of the name of a text


class Source(Protocol):
    """An upright image that is read window by window, in any order and as often as needed."""

    @property
    def height(self) -> int:
        """Its rows."""

    @property
    def width(self) -> int:
        """Its columns."""

    @property
    def channels(self) -> int:
        """Its channels, as in `images.MODES`."""

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The window as uint8 `[bottom - top, right - left, channels]`, a new array; it lies within the image."""


@final
class ArraySource:
    """An image that is in memory already, uint8 `[H, W, C]`."""

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels
        self.height, self.width, self.channels = pixels.shape

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The window as uint8 `[bottom - top, right - left, channels]`."""
        return self._pixels[top:bottom, left:right].copy()


@final
class FileSource:
    """An image file that was decoded to the disk."""

    def __init__(self, colour: Spool, alpha: Spool | None, beside: Metadata) -> None:
        self._colour = colour
        self.height, self.width, self.channels = colour.height, colour.width, colour.channels
        self.alpha: Source | None = alpha  # one channel; None where the image has none, or its channels hold it
        self.beside = beside

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The window as uint8 `[bottom - top, right - left, channels]`."""
        return self._colour.read(top, bottom, left, right)


@contextmanager
def open_source(
    path: Path, channels: int, folder: Path, *, max_pixels: int = MAX_PIXELS, everything: bool = False
) -> Iterator[FileSource]:
    """Decodes an image file to a file without a name in `folder`, and yields it with `channels`, as in `images.MODES`.

    The pixels are those of `images.read` and `images.to_pixels`. With libvips, of the extra `large`, PNG, JPEG, TIFF
    and WebP are decoded by strips; else Pillow holds the image, four bytes for each pixel, until it is on the disk.
    everything: as in `images.read_whole`. Raises ImageError, which names the file, and I2IError where the disk refuses.
    """
    with ExitStack() as held:
        yield _spooled(held, path, channels, folder, max_pixels, everything)


def _spooled(held: ExitStack, path: Path, channels: int, folder: Path, max_pixels: int, everything: bool) -> FileSource:
    """Decodes to files that are closed with `held`; nothing of Pillow's stays in memory."""
    with opening(path, str(path), max_pixels) as opened:
        image, orientation, strips = _stored(path, opened, everything)
        alpha = "A" in image.getbands() and not MODES[channels].endswith("A")
        size = image.height, image.width
        need_room(folder, image.height * image.width * (channels + alpha))
        colour = held.enter_context(Spool(folder, *size, channels, orientation=orientation))
        beyond = held.enter_context(Spool(folder, *size, 1, orientation=orientation)) if alpha else None
        for strip in strips:
            colour.append(strip if strip.shape[2] == channels else to_pixels(from_pixels(strip), channels))
            if beyond is not None:
                beyond.append(strip[..., -1:])
        return FileSource(colour, beyond, metadata.of(opened, everything=everything))


def _stored(path: Path, opened: ImageFile.ImageFile, everything: bool) -> tuple[Image.Image, int, Iterator[Pixels]]:
    """The image, or its header, with EXIF's orientation, and its rows as they are stored."""
    by_header = opened.format != "PNG" or not (everything or _hides_its_orientation(path))
    orientation = _orientation(opened) if by_header else 1
    if by_header and not (opened.format == "TIFF" and orientation != 1):
        strips = rows_vips.strips(path, opened)
        if strips is not None:
            return opened, orientation, strips
    opened.load()  # which turns a TIFF, and finds what a PNG says at its end
    if opened.mode in MODES.values() and "transparency" not in opened.info:
        return opened, 1 if opened.format == "TIFF" else _orientation(opened), _cropped(opened)
    image = plain(opened, str(path))
    return image, 1, _cropped(image)


def _cropped(image: Image.Image) -> Iterator[Pixels]:
    step = max(1, _STRIP // image.width)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(image.height, top + step)))
        yield to_pixels(strip, len(image.getbands()))


def _orientation(opened: ImageFile.ImageFile) -> int:
    if opened.format == "PNG" and "exif" not in opened.info and opened.tile:
        return 1  # Pillow would decode all of it to look for more
    try:
        return int(opened.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # EXIF that cannot be parsed says nothing about the orientation
        return 1


def _hides_its_orientation(path: Path) -> bool:
    """Whether a PNG has EXIF behind its pixels, or EXIF or XMP as a text: Pillow decodes all of it to look there."""
    with path.open("rb") as file:
        file.seek(8)
        pixels = False
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            pixels |= kind == b"IDAT"
            begin = file.read(min(length, _KEYWORD)) if kind in _TEXTS else b""
            if begin.startswith(_TELLING) or (pixels and kind == b"eXIf"):
                return True
            file.seek(length + 4 - len(begin), os.SEEK_CUR)
    return False
