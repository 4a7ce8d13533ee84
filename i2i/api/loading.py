"""An exported model, opened to be called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i2i.runtime.generator import Generator
    from i2i.runtime.tiles.anysize import Tile
    from i2i.runtime.translator import Translator


def load(path: str | Path, device: str = "auto", *, direction: str | None = None, tile: Tile = "auto") -> Translator:
    """The translator in a `model.onnx` or a run's folder; a callable on PIL images and uint8 arrays. Needs no torch.

    direction: which one, such as "BtoA", of a run that has several; by default the one it was trained for. tile: pixels
    along the side of the pieces in which an image is translated; "auto": pieces where it does not fit, "off": never.
    """
    from i2i.runtime.translator import Translator

    return Translator.load(Path(path), device, direction=direction, tile=tile)


def load_generator(path: str | Path, device: str = "auto") -> Generator:
    """The generator of images from noise in a `model.onnx` or a run's folder. Needs no torch."""
    from i2i.runtime.generator import Generator

    return Generator.load(Path(path), device)
