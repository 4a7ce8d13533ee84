"""The colours of label maps; imports no torch, for the data and manifests do not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from i2i.errors import ConfigError
from i2i.images import Pixels

MOST: Final = 256  # colours of a palette
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)


def levels(colours: Sequence[str]) -> Pixels:
    """Colours as `#rrggbb` to uint8 `[K, 3]`; raises ConfigError for what is none, twice there, or too many."""
    for place, colour in enumerate(colours):
        if not _COLOUR.fullmatch(colour):
            raise ConfigError(
                f"data.classes: '{colour}' is no colour", "The classes of label maps are colours such as '#ff8000'."
            )
        if colour.lower() in (other.lower() for other in colours[:place]):
            raise ConfigError(f"data.classes: '{colour}' stands there twice", "Name each colour once.")
    if not 2 <= len(colours) <= MOST:
        raise ConfigError(f"data.classes: {len(colours)} colours", f"Label maps have 2 to {MOST} classes.")
    return np.array([list(bytes.fromhex(colour[1:])) for colour in colours], np.uint8)


def names(found: Iterable[tuple[int, ...]]) -> list[str]:
    """Levels of red, green and blue as `#rrggbb`, sorted."""
    return sorted(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in found)


def nearest(pixels: Pixels, colours: Pixels) -> Pixels:
    """uint8 `[H, W, 3]` with each pixel replaced by the nearest of `colours` `[K, 3]`, the first of equally near ones.

    The distance is the sum of the absolute differences of the three levels.
    """
    best = np.zeros(pixels.shape[:2], np.intp)
    least = np.full(pixels.shape[:2], np.iinfo(np.int32).max, np.int32)
    wide: NDArray[np.int32] = pixels.astype(np.int32)
    for number, colour in enumerate(colours.astype(np.int32)):
        distance = np.abs(wide - colour).sum(2)
        closer = distance < least
        best[closer], least[closer] = number, distance[closer]
    return colours[best]
