"""Image files to and from uint8 arrays: formats, bit depths, orientation and alpha, by Pillow."""

from __future__ import annotations

import io
import os
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from i2i import metadata
from i2i.errors import ImageError
from i2i.files import replacing
from i2i.metadata import NOTHING, Metadata
from i2i.pillow import BROKEN, FORMATS, MAX_BYTES, MAX_PIXELS, opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "FOREIGN",
    "FORMATS",
    "LOSSY",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MODES",
    "QUALITY",
    "SUFFIXES",
    "WRITABLE",
    "Pixels",
    "check_writable",
    "encode",
    "encode_for",
    "find",
    "from_pixels",
    "opening",
    "plain",
    "read",
    "read_whole",
    "resize",
    "to_pixels",
    "write",
]

Pixels = NDArray[np.uint8]

SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"}
)
WRITABLE: Final = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
FOREIGN: Final = frozenset(  # of images that are neither read nor written here
    {".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".psd", ".xcf", ".svg", ".eps", ".pdf", ".ico", ".tga", ".dds"}
    | {".exr", ".hdr", ".qoi", ".apng", ".jfif", ".raw", ".dng", ".cr2", ".nef", ".arw"}
)
QUALITY: Final = 95  # of JPEG and WebP: hardly visible, at a third of a PNG's size
LOSSY: Final = ("JPEG", "WEBP")
MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def read(
    source: Path | bytes,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int | None = None,
    heard: Callable[[str], None] | None = None,
) -> Image.Image:
    """Decodes an image file (or its bytes) to mode L, LA, RGB or RGBA, upright, 8 bits a channel, without metadata.

    16-bit grey is scaled to 8 bits; palettes, CMYK, YCbCr and LAB become RGB; of several frames the first is taken.
    max_bytes, heard: as in `opening`. Raises ImageError, which names the file, for anything that is no whole image of
    an allowed format and size.
    """
    return read_whole(source, name=name, max_pixels=max_pixels, max_bytes=max_bytes, heard=heard)[0]


def read_whole(
    source: Path | bytes,
    *,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int | None = None,
    heard: Callable[[str], None] | None = None,
    everything: bool = False,
    before: Callable[[int, int], None] | None = None,
) -> tuple[Image.Image, Metadata]:
    """Decodes as `read` does, and says what the file says beside its pixels: its profile, and `everything` if asked.

    before: called with width and height when they are known and before memory is taken for them.
    """
    where = name if name is not None else (str(source) if isinstance(source, Path) else "image")
    file = source if isinstance(source, Path) else io.BytesIO(source)
    with opening(file, where, max_pixels, max_bytes=max_bytes, heard=heard) as opened:
        if before is not None:
            before(*opened.size)
        opened.load()
        beside = metadata.of(opened, everything=everything)
        return _bare(_eight_bit(_upright(opened), where)), beside


def plain(image: Image.Image, where: str = "image") -> Image.Image:
    """A copy of any image in mode L, LA, RGB or RGBA, turned as its EXIF says and without metadata.

    Raises ImageError, naming `where`, for values whose range is unknown or beyond 16 bits.
    """
    return _bare(_eight_bit(_upright(image), where))


def to_pixels(image: Image.Image, channels: int) -> Pixels:
    """The image as uint8 `[H, W, channels]`, channels as in `MODES`; alpha that has no channel is laid on white."""
    mode = MODES[channels]
    if image.mode in ("LA", "RGBA") and not mode.endswith("A"):
        opaque = Image.new("RGBA", image.size, "white")
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(image.height, image.width, channels)


def from_pixels(pixels: Pixels) -> Image.Image:
    """The image of uint8 `[H, W, C]`, C as in `MODES`."""
    height, width, channels = pixels.shape
    flat = np.ascontiguousarray(pixels).reshape(height, width) if channels == 1 else np.ascontiguousarray(pixels)
    return Image.fromarray(flat, MODES[channels])


def resize(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resizes uint8 `[H, W, C]` by Pillow's bicubic filter, which averages where it makes smaller."""
    if pixels.shape[:2] == (height, width):
        return pixels
    resized = np.asarray(from_pixels(pixels).resize((width, height), Image.Resampling.BICUBIC))
    return resized.reshape(height, width, pixels.shape[2])


def write(image: Image.Image, path: Path, *, quality: int = QUALITY, beside: Metadata = NOTHING) -> None:
    """Writes the image to `path`, whole or not at all, in the format of its suffix; raises ImageError or I2IError."""
    encoded = encode_for(image, path, quality=quality, beside=beside)
    with replacing(path) as aside:
        aside.write_bytes(encoded)


def check_writable(path: Path) -> None:
    """Raises ImageError where no image can be written to a file with the suffix of `path`."""
    if path.suffix.lower() not in WRITABLE:
        raise ImageError(f"{path}: cannot write '{path.suffix}' files", f"Choose one of: {', '.join(WRITABLE)}")


def encode_for(image: Image.Image, path: Path, *, quality: int = QUALITY, beside: Metadata = NOTHING) -> bytes:
    """The image as the bytes of a file called `path`; raises ImageError, naming it, where its format does not do."""
    check_writable(path)
    try:
        return encode(image, path.suffix.lower(), quality=quality, beside=beside)
    except BROKEN as error:  # for one, JPEG ends at 65,535 pixels a side and WebP at 16,383
        raise ImageError(
            f"{path}: cannot be written as {path.suffix} at {image.width} x {image.height} pixels: {error}",
            "Write a .png instead.",
        ) from None


def encode(image: Image.Image, suffix: str, *, quality: int = QUALITY, beside: Metadata = NOTHING) -> bytes:
    """The image as a file's bytes, `suffix` one of `WRITABLE`; JPEG and BMP lose the alpha channel, laid on white.

    quality: 1 to 100, of JPEG and WebP. beside: goes along as far as the format holds it and it describes this image.
    """
    form = WRITABLE[suffix]
    if form in ("JPEG", "BMP") and image.mode in ("LA", "RGBA"):
        image = from_pixels(to_pixels(image, 1 if image.mode == "LA" else 3))
    options: dict[str, Any] = {} if form == "BMP" else beside.options(form, image.mode)
    if form in LOSSY:
        options["quality"] = quality
    elif form == "PNG":
        # Of photographs as small as zlib's level 6 makes it and four times as fast: PNG's own filters leave no repeats
        # for a longer search to find. Drawings of few colours become up to half as large again.
        options["compress_type"] = zlib.Z_RLE
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def find(folder: Path) -> Iterator[Path]:
    """The image files below `folder` by suffix, in the order of their paths; hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from find(folder / entry.name)
        elif (path := folder / entry.name).suffix.lower() in SUFFIXES and os.path.isfile(path):  # noqa: PTH113
            yield path


def _bare(image: Image.Image) -> Image.Image:
    image.info = {}  # what it says (orientation, transparency) is applied or no longer true
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except BROKEN as error:  # which says nothing about the orientation
        warnings.warn(f"EXIF that cannot be read: {error}", stacklevel=2)
        return image.copy()


def _eight_bit(image: Image.Image, where: str) -> Image.Image:
    if image.mode in MODES.values() and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.min(initial=0) < 0 or wide.max(initial=0) > 65535:
            raise ImageError(f"{where}: its values go beyond 16 bits", "Convert it to 8 or 16 bits.")
        narrow = np.empty((*wide.shape, 1), np.uint8)
        for to, row in zip(narrow, wide, strict=True):  # what is computed in 32 bits is never the whole
            to[:, 0] = (row.astype(np.uint32) * 255 + 32767) // 65535
        return from_pixels(narrow)
    if image.mode == "F":
        raise ImageError(f"{where}: holds floating-point values of unknown range", "Convert it to 8 or 16 bits.")
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("LA" if image.mode in ("L", "La", "1") else "RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")
