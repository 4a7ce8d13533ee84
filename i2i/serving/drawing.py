"""Images that are made from noise: what is asked for, what the model is given, and the sheet that shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from i2i.errors import I2IError
from i2i.images import from_pixels
from i2i.noise import SEEDS, draw
from i2i.serving.errors import InvalidError
from i2i.sheet import lay, wrap

if TYPE_CHECKING:
    from PIL import Image

    from i2i.images import Pixels
    from i2i.noise import Noise
    from i2i.runtime.generator import Generator, Labels

_COLUMNS: Final = 20  # of a sheet at most


@dataclass(frozen=True)
class Wish:
    """The images `first` to `first + count - 1` of a seed; label: the class of all, None: all classes in turn."""

    seed: int
    label: str | int | None
    count: int
    first: int


@dataclass(frozen=True)
class Inputs:
    """noise: `[N, Z]`. labels: `[N]`, of a model with classes."""

    noise: Noise
    labels: Labels | None


def made_of(generator: Generator, wish: Wish, most: int) -> Inputs:
    """What the images are made of; raises InvalidError for what the model does not take, or over `most` images."""
    if not 1 <= wish.count <= most:
        raise InvalidError(f"count {wish.count}: out of range", f"Choose one from 1 to {most}.")
    if not 0 <= wish.first <= SEEDS - wish.count:
        raise InvalidError(f"first {wish.first}: out of range", f"Choose one from 0 to {SEEDS - wish.count}.")
    try:
        labels = generator.labels(wish.count, wish.label, wish.first)
        return Inputs(draw(wish.seed, wish.count, generator.description.noise, wish.first), labels)
    except I2IError as error:
        raise InvalidError(error.message, error.hint) from None


def sheet(images: Pixels, wish: Wish, classes: tuple[str, ...]) -> Image.Image:
    """The image, or all of them as a sheet: where classes come in turn, a column for each under its name."""
    if len(images) == 1:
        return from_pixels(images[0])
    in_turn = wish.label is None and 1 < len(classes) <= _COLUMNS and wish.first % len(classes) == 0
    columns = len(classes) if in_turn else math.ceil(math.sqrt(len(images)))
    return from_pixels(lay(wrap(list(images), columns), heads=classes[: len(images)] if in_turn else ()))
