"""What an image file says beside its pixels, and how much of that is still true of the result."""

from __future__ import annotations

import re
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPACES: Final = {b"GRAY": ("L", "LA"), b"RGB ": ("RGB", "RGBA")}  # of a profile's header, and the modes it describes
_SPACE: Final = slice(16, 20)
_JPEG_SEGMENT: Final = 65_502  # bytes that a JPEG has for XMP, and nearly what it has for EXIF
_XMP_TAG: Final = 700  # of TIFF
_Base: Final = ExifTags.Base
_DESCRIBING: Final = (  # the rest of a TIFF's tags say how its pixels are stored
    *(_Base.ImageDescription, _Base.Make, _Base.Model, _Base.Software, _Base.DateTime, _Base.Artist, _Base.Copyright),
    *(_Base.XResolution, _Base.YResolution, _Base.ResolutionUnit, _Base.HostComputer, _Base.Rating),
    *(_Base.XPTitle, _Base.XPComment, _Base.XPAuthor, _Base.XPKeywords, _Base.XPSubject),
)
_ORIENTATION: Final = re.compile(
    rb"""\s*tiff:Orientation\s*=\s*(?:"\d"|'\d')|<tiff:Orientation>\s*\d\s*</tiff:Orientation>"""
)  # of XMP
_UNTRUE: Final = (_Base.ExifImageWidth, _Base.ExifImageHeight, ExifTags.IFD.Interop)  # sizes, and where a part was


@dataclass(frozen=True)
class Metadata:
    """The colour profile, EXIF and XMP of a file, as bytes; None where it has none, or they are not asked for."""

    profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None

    def options(self, form: str, mode: str) -> dict[str, Any]:
        """The arguments of Pillow's `save` that write to a file of format `form` what is true of an image of `mode`.

        A profile goes along where it is one of this mode's colours; formats and fields that do not fit are left out.
        """
        found: dict[str, Any] = {}
        if form == "WEBP":  # which has no grey: its pixels become RGB
            mode = mode.replace("L", "RGB")
        if self.profile and mode in _SPACES.get(self.profile[_SPACE], ()):
            found["icc_profile"] = self.profile
        exif, xmp = (None if form == "JPEG" and len(it or b"") > _JPEG_SEGMENT else it for it in (self.exif, self.xmp))
        if form == "TIFF":  # its own directory holds them, which Pillow takes as one
            if exif or xmp:
                directory = Image.Exif()
                directory.load(exif or b"")
                directory.update({_XMP_TAG: xmp} if xmp else {})
                found["exif"] = directory
            return found
        if exif:
            found["exif"] = exif
        if xmp and form == "PNG":
            text = PngInfo()
            text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
            found["pnginfo"] = text
        elif xmp:
            found["xmp"] = xmp
        return found


NOTHING: Final = Metadata()


def of(opened: Image.Image, *, everything: bool) -> Metadata:
    """What Pillow found beside the pixels of a file, as it is true of an image that is turned as the file says.

    everything: EXIF and XMP too, which then say that the image is upright, and no longer how large it was.
    """
    profile = _bytes(opened.info, "icc_profile")
    if not everything:
        return Metadata(profile)
    xmp = _bytes(opened.info, "xmp")
    return Metadata(profile, _exif(opened), None if xmp is None else _ORIENTATION.sub(b"", xmp))


def _exif(opened: Image.Image) -> bytes | None:
    try:
        exif = opened.getexif()
        if not exif:
            return None
        kept = Image.Exif()
        kept.update({int(tag): exif[tag] for tag in _DESCRIBING if tag in exif})
        kept[_Base.Orientation] = 1
        for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            inner = exif.get_ifd(part)
            kept.get_ifd(part).update({tag: value for tag, value in inner.items() if tag not in _UNTRUE})
        return kept.tobytes()
    except (OSError, SyntaxError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error) as error:
        warnings.warn(f"EXIF that cannot be read: {error}", stacklevel=2)
        return None  # which is no reason to lose the image


def _bytes(info: Mapping[Any, Any], key: str) -> bytes | None:
    value = info.get(key)
    if isinstance(value, str):
        value = value.encode()
    return value if isinstance(value, bytes) and value else None
