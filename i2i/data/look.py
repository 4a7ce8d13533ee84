"""What a single image file is like: its size, its channels, how its levels are stored, and what it resembles."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i import header, images
from i2i.data.sources import Source
from i2i.errors import ImageError
from i2i.header import Header
from i2i.images import Pixels

_GRID: Final = 16  # pixels along the side of the miniature by which images are compared
_APART: Final = 4  # of 64 bits of the difference hash that may differ between near duplicates
_ALIKE: Final = 0.98  # and the least correlation of the miniatures, or sparse line art would all be alike


@dataclass(frozen=True)
class Look:
    """One decoded image.

    form: how it is decoded: L, LA, RGB or RGBA. digest: of its pixels. miniature: uint8 `[16, 16]`, grey.
    bits: the 64 bits of its difference hash, each whether the image grows brighter to the right; those of its mirror
    image likewise.
    """

    size: tuple[int, int]
    form: str
    constant: bool
    digest: bytes
    miniature: Pixels
    bits: int
    mirrored: int


def look(image: Image.Image) -> Look:
    """Looks at an image in mode L, LA, RGB or RGBA."""
    extrema = image.getextrema()
    ranges = [extrema] if isinstance(extrema[0], int | float) else extrema
    header = f"{image.mode} {image.size}".encode()
    digest = blake2b(header + image.tobytes(), digest_size=16).digest()
    grey = images.to_pixels(image, 1)
    return Look(
        image.size,
        image.mode,
        all(low == high for low, high in ranges),
        digest,
        images.resize(grey, _GRID, _GRID)[..., 0],
        _difference(grey),
        _difference(grey[:, ::-1]),
    )


def stored(path: Path) -> Header:
    """What a file's header says; of one that cannot be read, the format "?" and no bits."""
    try:
        return header.read(path, max_bytes=sys.maxsize)  # its length is judged where it is decoded
    except ImageError:  # whatever is wrong with it is said when it is decoded
        return Header((0, 0), "?", 0, ())


def remarks(source: Source) -> list[str]:
    """What of the files of a source is changed or left out when they are decoded."""
    found = (remark for file in source.files if isinstance(file, Path) for remark in stored(file).remarks)
    return list(dict.fromkeys(found))


def duplicates(ones: list[Look], others: list[Look]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Which of `ones` are, and which are nearly, one of `others` or its mirror image: the indices of both, at most one.

    Exact ones have the same pixels. Near ones have difference hashes that differ in at most 4 of 64 bits and
    miniatures that correlate by at least 0.98.
    """
    known = {each.digest: index for index, each in enumerate(others)}
    bits = np.array([each.bits for each in others], np.uint64)
    exact, near = [], []
    for index, each in enumerate(ones):
        if each.digest in known:
            exact.append((index, known[each.digest]))
        elif (found := _nearest(each, others, bits)) is not None:
            near.append((index, found))
    return exact, near


def _nearest(one: Look, others: list[Look], bits: NDArray[np.uint64]) -> int | None:
    for hashed, miniature in ((one.bits, one.miniature), (one.mirrored, one.miniature[:, ::-1])):
        for index in np.flatnonzero(np.bitwise_count(bits ^ np.uint64(hashed)) <= _APART):
            if _correlation(others[index].miniature, miniature) >= _ALIKE:
                return int(index)
    return None


def _correlation(one: Pixels, other: Pixels) -> float:
    """Of two miniatures; 0 where one of them is constant."""
    a, b = (each - each.mean() for each in (one, other))
    spread = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / spread) if spread else 0.0


def _difference(grey: Pixels) -> int:
    small = images.resize(np.ascontiguousarray(grey), 8, 9)[..., 0].astype(np.int64)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes())
