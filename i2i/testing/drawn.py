"""Data of every kind, drawn: small scenes, so that a plugin can be tried without a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from i2i.plugin import Kind

SCENES: Final = 20
_COLOURS: Final = ((112, 160, 220), (90, 140, 70), (200, 90, 60), (240, 220, 120))  # sky, ground, house, sun

_Scene = NDArray[np.uint8]  # `[H, W]`, the number of what is seen at each place
_Picture = Callable[[_Scene], Image.Image]


def draw(folder: Path, kind: Kind, side: int) -> None:
    """Writes `SCENES` images of `side` x `side` pixels for each side or class of data of `kind` below `folder`."""
    for place, picture, scenes in _contents(kind):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for number in scenes:
            picture(_scene(number, side)).save(folder / place / f"{number:03d}.png")


def _contents(kind: Kind) -> Iterator[tuple[str, _Picture, range]]:
    first, second = range(SCENES), range(SCENES, 2 * SCENES)
    contents: Mapping[str, list[tuple[str, _Picture, range]]] = {
        "paired": [("A", _outlined, first), ("B", _coloured, first)],
        "unpaired": [("A", _outlined, first), ("B", _coloured, second)],
        "semantic": [("A", _map, first), ("B", _coloured, first)],
        "upscaled": [("", _coloured, first)],
        "images": [("", _coloured, first)],
        "labelled": [("coloured", _coloured, first), ("outlined", _outlined, first)],
    }
    yield from contents[kind]


def _scene(number: int, side: int) -> _Scene:
    """A house and the sun before a horizon, each somewhere else in every scene."""
    rng = np.random.default_rng(number)
    row, column = np.mgrid[:side, :side] / side
    horizon, left, sun = rng.uniform((0.4, 0.1, 0.1), (0.7, 0.6, 0.8))
    scene = np.where(row > horizon, 1, 0)
    scene[np.hypot(row - 0.2, column - sun) < 0.12] = 3
    scene[(abs(row - horizon) < 0.2) & (abs(column - left - 0.15) < 0.15)] = 2
    return scene.astype(np.uint8)


def _outlined(scene: _Scene) -> Image.Image:
    padded = np.pad(scene, ((0, 1), (0, 1)), mode="edge")
    edge = (padded[1:, :-1] != scene) | (padded[:-1, 1:] != scene)
    return Image.fromarray(np.where(edge[..., None], 0, 255).repeat(3, 2).astype(np.uint8))


def _coloured(scene: _Scene) -> Image.Image:
    light = np.linspace(0.75, 1.0, len(scene))[:, None, None]
    return Image.fromarray((np.array(_COLOURS)[scene] * light).astype(np.uint8))


def _map(scene: _Scene) -> Image.Image:
    image = Image.fromarray(scene, "P")
    image.putpalette([level for colour in _COLOURS for level in colour])
    return image
