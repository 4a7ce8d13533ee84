"""Image files to and from uint8 arrays: formats, bit depths, orientation, alpha and limits, by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from i2i.errors import ImageError
from i2i.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

Pixels = NDArray[np.uint8]

FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
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
MODES: Final = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
MAX_PIXELS: Final = 89_478_485  # a quarter of a GiB as RGB; Pillow warns from here on
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)


def read(source: Path | bytes, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decodes an image file (or its bytes) to mode L, LA, RGB or RGBA, upright, 8 bits a channel.

    16-bit grey is scaled to 8 bits; palettes, CMYK, YCbCr and LAB become RGB; of several frames the first is taken.
    Raises ImageError, which names the file, for anything that is no whole image of an allowed format and size.
    """
    where = name if name is not None else (str(source) if isinstance(source, Path) else "image")
    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > max_pixels:
                raise ImageError(
                    f"{where}: {width} x {height} pixels, over the limit of {max_pixels:,}",
                    "Make it smaller.",
                )
            opened.load()
            return plain(opened, where)
    except UnidentifiedImageError:
        raise ImageError(f"{where}: not an image that can be read", f"Readable: {', '.join(FORMATS)}.") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{where}: claims more pixels than the limit of {max_pixels:,}", "Make it smaller.") from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ImageError(f"{where}: {error.strerror}") from None
    except MemoryError:
        raise ImageError(f"{where}: does not fit into memory", "Make it smaller.") from None
    except _BROKEN as error:
        raise ImageError(f"{where}: broken: {error}", "Restore the file or remove it.") from None


def plain(image: Image.Image, where: str = "image") -> Image.Image:
    """A copy of any image in mode L, LA, RGB or RGBA, turned as its EXIF says and without metadata.

    Raises ImageError, naming `where`, for values whose range is unknown or beyond 16 bits.
    """
    image = _eight_bit(_upright(image), where)
    image.info = {}  # what it says (orientation, transparency, profile) is applied or no longer true
    return image


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


def write(image: Image.Image, path: Path) -> None:
    """Writes the image to `path`, whole or not at all, in the format of its suffix; raises ImageError or I2IError."""
    check_writable(path)
    try:
        encoded = encode(image, path.suffix.lower())
    except _BROKEN as error:  # for one, JPEG ends at 65,535 pixels a side and WebP at 16,383
        raise ImageError(
            f"{path}: cannot be written as {path.suffix} at {image.width} x {image.height} pixels: {error}",
            "Give the output a name that ends in .png",
        ) from None
    with replacing(path) as aside:
        aside.write_bytes(encoded)


def check_writable(path: Path) -> None:
    """Raises ImageError where no image can be written to a file with the suffix of `path`."""
    if path.suffix.lower() not in WRITABLE:
        raise ImageError(f"{path}: cannot write '{path.suffix}' files", f"Choose one of: {', '.join(WRITABLE)}")


def encode(image: Image.Image, suffix: str) -> bytes:
    """The image as a file's bytes, `suffix` one of `WRITABLE`; JPEG and BMP lose the alpha channel, laid on white."""
    form = WRITABLE[suffix]
    if form in ("JPEG", "BMP") and image.mode in ("LA", "RGBA"):
        image = from_pixels(to_pixels(image, 1 if image.mode == "LA" else 3))
    buffer = io.BytesIO()
    if form in ("JPEG", "WEBP"):
        image.save(buffer, form, quality=95)
    else:
        image.save(buffer, form)
    return buffer.getvalue()


def find(folder: Path) -> Iterator[Path]:
    """The image files below `folder` by suffix, in the order of their paths; hidden ones are left out."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield path


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:  # EXIF that cannot be parsed says nothing about the orientation
        return image.copy()


def _eight_bit(image: Image.Image, where: str) -> Image.Image:
    if image.mode in MODES.values() and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min(initial=0) < 0 or wide.max(initial=0) > 65535:
            raise ImageError(f"{where}: its values go beyond 16 bits", "Convert it to 8 or 16 bits.")
        return from_pixels(((wide * 255 + 32767) // 65535).astype(np.uint8)[..., None])
    if image.mode == "F":
        raise ImageError(f"{where}: holds floating-point values of unknown range", "Convert it to 8 or 16 bits.")
    if image.mode in ("PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("LA" if image.mode in ("L", "La", "1") else "RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")
