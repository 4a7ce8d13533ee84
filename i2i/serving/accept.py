"""In which format an answer goes: what the client accepts (RFC 9110, 12.5.1) of what can be written."""

from __future__ import annotations

from typing import Final

from i2i.serving.decoding import MEDIA_TYPES
from i2i.serving.problems import ProblemError

_SUFFIXES: Final = (".png", ".webp", ".jpg", ".tiff", ".bmp")  # the first is for clients that do not mind
FORMS: Final = {MEDIA_TYPES[suffix]: suffix for suffix in _SUFFIXES}
ZIP: Final = "application/zip"


def chosen(accept: str | None, offered: tuple[str, ...] = tuple(FORMS)) -> str:
    """The offered media type that an Accept header likes best; at equal liking, the one it names first.

    Raises ProblemError (406) where it likes none.
    """
    if not accept or not accept.strip():
        return offered[0]
    ranges = [_range(item) for item in accept.split(",") if item.strip()]
    liked: dict[str, tuple[float, int]] = {}
    for media in offered:
        wildcards = ("*/*", f"{media.partition('/')[0]}/*", media)
        found = [
            (wildcards.index(kind), quality, -place)
            for place, (kind, quality) in enumerate(ranges)
            if kind in wildcards
        ]
        if found:
            _, quality, place = max(found)
            if quality > 0:
                liked[media] = (quality, place)
    if not liked:
        raise ProblemError(
            406, f"the answer cannot be made in the formats of Accept: {accept[:100]}",
            f"Choose one of: {', '.join(offered)}",
        )  # fmt: skip
    return max(liked, key=lambda media: liked[media])


def _range(item: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in item.split(";"))
    quality = next((text.removeprefix("q=") for text in parameters if text.startswith("q=")), "1")
    try:
        value = float(quality)
    except ValueError:
        value = 0.0
    return kind, value if 0 <= value <= 1 else 0.0
