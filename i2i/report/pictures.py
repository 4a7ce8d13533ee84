"""Pictures inside the page: few, and small as files."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from i2i.errors import I2IError
from i2i.images import encode, read

_T = TypeVar("_T")
MOST: Final = 24  # of samples over time
_SIDE: Final = 1024  # pixels of the longer side, at most
_LOSSLESS: Final = 40_000  # bytes up to which a picture stays as it is
_QUALITY: Final = 82


def chosen(pictures: list[_T], always: set[int], most: int = MOST) -> list[_T]:
    """At most about `most`, evenly spaced, with the first, the last and those numbered in `always`."""
    count = len(pictures)
    if count <= most:
        return pictures
    spread = {index * (count - 1) // (most - 1) for index in range(most)}
    return [pictures[index] for index in sorted(spread | {index for index in always if 0 <= index < count})]


def source(path: Path) -> str | None:
    """The picture as a `data:` address; None where it cannot be read."""
    try:
        about = path.stat()
        return _source(path, about.st_mtime_ns, about.st_size)
    except (OSError, I2IError):
        return None


@lru_cache(maxsize=128)
def _source(path: Path, changed: int, size: int) -> str:
    """As `source`; a report that is built again and again encodes each picture once."""
    image = read(path)
    if size <= _LOSSLESS:
        return f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}"
    image.thumbnail((_SIDE, _SIDE))
    return f"data:image/webp;base64,{b64encode(encode(image, '.webp', quality=_QUALITY)).decode()}"
