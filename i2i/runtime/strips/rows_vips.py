"""Images decoded and encoded strip by strip by libvips, of the extra `large`."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from i2i.errors import ImageError
from i2i.images import MODES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType
    from typing import BinaryIO

    from PIL import ImageFile

    from i2i.images import Pixels
    from i2i.metadata import Metadata

_LOADERS: Final = {"PNG": "pngload", "JPEG": "jpegload", "MPO": "jpegload", "TIFF": "tiffload", "WEBP": "webpload"}
_STRIP: Final = 2**22  # bytes
_COLOURS: Final = ("srgb", "rgb", "b-w")
ENCODED: Final = ("JPEG", "WEBP")


def pyvips() -> ModuleType | None:
    """The module, or None where it or its library is not installed: Pillow does as well, with more memory."""
    try:
        import pyvips as module  # noqa: PLC0415
    except (ImportError, OSError):
        return None
    return module  # type: ignore[no-any-return]


def strips(path: Path, opened: ImageFile.ImageFile) -> Iterator[Pixels] | None:
    """The rows of an image file as stored, uint8 `[h, W, C]` from top to bottom; None where Pillow is to decode it.

    opened: the same file, by Pillow. What Pillow would change of the values or of the place of pixels is left to it.
    Iterating raises ImageError for a broken file.
    """
    vips = pyvips()
    loader = _LOADERS.get(opened.format or "")
    plain = opened.mode in MODES.values() and "transparency" not in opened.info
    animated = opened.format in ("PNG", "WEBP") and getattr(opened, "is_animated", False)
    if vips is None or loader is None or animated or not plain:
        return None
    try:
        # By the name of the format: what libvips would find out by itself may be one that is not read here.
        # Looked at again even if a file of this name was read before.
        image = getattr(vips.Image, loader)(str(path), access="sequential", fail_on="error", revalidate=True)
    except (vips.Error, UnicodeEncodeError):
        return None  # Pillow says what is wrong, and takes names that are not UTF-8
    same = (image.width, image.height, image.bands) == (*opened.size, len(opened.mode))
    if not same or image.format != "uchar" or image.interpretation not in _COLOURS:
        return None
    return _fetched(vips, image, path)


def _fetched(vips: ModuleType, image: Any, path: Path) -> Iterator[Pixels]:
    step = max(1, _STRIP // (image.width * image.bands))
    try:
        region = vips.Region.new(image)
        for top in range(0, image.height, step):
            rows = min(step, image.height - top)
            values = np.frombuffer(region.fetch(0, top, image.width, rows), np.uint8)
            yield values.reshape(rows, image.width, image.bands)
    except vips.Error as error:
        raise ImageError(f"{path}: broken: {_first_line(error)}", "Restore the file or remove it.") from None


def encode(tiff: BinaryIO, path: Path, form: str, *, mode: str, quality: int, beside: Metadata) -> bool:
    """Writes an uncompressed TIFF file as `form`, one of `ENCODED`, to `path`; False where libvips is not there.

    Raises ImageError where it cannot be encoded, and OSError where there is no space left.
    """
    vips = pyvips()
    if vips is None:
        return False
    try:
        source = vips.Source.new_from_descriptor(tiff.fileno())
        image = vips.Image.tiffload_source(source, access="sequential").copy()  # whose metadata may be changed
        kept = beside.options(form, mode)
        for field, option in (("icc-profile-data", "icc_profile"), ("exif-data", "exif"), ("xmp-data", "xmp")):
            if option in kept:
                image.set_type(vips.GValue.blob_type, field, kept[option])
        if form == "JPEG":
            image.jpegsave(str(path), Q=quality, subsample_mode="on")  # 4:2:0, as Pillow does
        else:
            image.webpsave(str(path), Q=quality)
    except UnicodeEncodeError:  # the name is not UTF-8
        return False
    except vips.Error as error:
        if os.strerror(errno.ENOSPC) in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
        raise ImageError(f"{path}: cannot be encoded: {_first_line(error)}", "Write a .png instead.") from None
    return True


def _first_line(error: Exception) -> str:
    return str(getattr(error, "detail", error)).strip().partition("\n")[0]
