"""Semantic: label maps, whose colours are classes, and the images that show what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from i2i import images
from i2i.config import DataConfig
from i2i.data.look import stored
from i2i.data.pairs import Take
from i2i.data.sources import Source, TwoImages
from i2i.data.threads import Progress, read_ahead, thread_count
from i2i.data.told import some
from i2i.errors import DataError
from i2i.images import Pixels
from i2i.nn.palette import MOST, levels, names, nearest

_LOSSY: Final = "JPEG"  # by which no pixel next to an edge keeps its colour
_SWAPPED: Final = "Where B holds the label maps, set data.direction=BtoA."
_NAMED: Final = (
    "Save the maps as PNG files of plain colours; or name the colours in data.classes ('#ff8000', ...): each pixel is "
    "then taken as the nearest of them."
)

Colours = frozenset[tuple[int, ...]]


def check_config(config: DataConfig) -> None:
    """Raises DataError where the input is not to be the RGB picture that a label map is."""
    if config.input_channels != 3:
        raise DataError(
            f"data.input_channels {config.input_channels}: a label map comes as its RGB picture, also a grey one",
            "Leave it at 3.",
        )


def find_classes(
    sources: Sequence[Source], config: DataConfig, progress: Progress | None = None
) -> tuple[tuple[str, ...], Counter[str]]:
    """The colours that occur in label maps, sorted, and in how many maps each does.

    A map that cannot be read is passed over here. Raises DataError where the maps are not such: in JPEG files, of more
    than 256 colours, or all of one.
    """
    side = _side(config)
    threads = thread_count(config.workers)
    counts: Counter[str] = Counter()

    def look(source: Source) -> Colours | DataError | None:
        try:
            most = config.max_bytes
            image = _plain(source.open_side(side, most) if isinstance(source, TwoImages) else source.open(most)[side])
        except DataError:  # named when all are decoded
            return None
        form, _ = _stored(source, side)
        if form == _LOSSY:
            return DataError(
                f"{source.name}: a label map in a JPEG file, which blurs colours that stand for classes", _NAMED
            )
        return _colours(image) or DataError(
            f"{source.name}: more than {MOST} colours: no label map",
            f"{_SWAPPED} A map has one plain colour for each class, without soft edges.",
        )

    with closing(read_ahead(look, sources, threads=threads, ahead=4 * threads)) as looks:
        for done, found in enumerate(looks, start=1):
            if isinstance(found, DataError):
                raise found
            counts.update(names(found or ()))
            if len(counts) > MOST:
                raise DataError(
                    f"data.source {config.source}: more than {MOST} colours in its label maps",
                    f"{_SWAPPED} There can be {MOST} classes at most, each of one plain colour.",
                )
            if progress is not None:
                progress(done, len(sources), "looking for the classes")
    if not counts:
        raise DataError(f"data.source {config.source}: none of its label maps can be read", "Restore the files.")
    if len(counts) == 1:
        raise DataError(
            f"data.source {config.source}: its label maps are all of one colour, {next(iter(counts))}", _SWAPPED
        )
    return tuple(sorted(counts)), counts


def take_labels(config: DataConfig, classes: Sequence[str]) -> Take:
    """Brings a label map to a size by taking pixels as they are; what comes out are colours of `classes` alone.

    Raises DataError for a map with another colour, and ConfigError where `classes` are not colours; of a JPEG file each
    pixel is the nearest of them.
    """
    palette = levels(classes)
    known = {tuple(colour) for colour in palette.tolist()}
    side = _side(config)

    def take(source: Source, image: Image.Image, height: int, width: int) -> Pixels:
        plain = _plain(image)
        form, bits = _stored(source, side)
        if bits > 8:
            raise DataError(
                f"{source.name}: a label map of {bits} bits a channel, of which 8 are read",
                "Save it with 8 bits: classes that differ in the lower ones would be one.",
            )
        if form != _LOSSY:
            colours = _colours(plain)
            if colours is None or colours - known:
                what = f"more than {MOST}" if colours is None else some(names(colours - known))
                raise DataError(
                    f"{source.name}: colours in its label map that are no class: {what}",
                    "Add them to data.classes, or paint these pixels in a colour that is there.",
                )
        resized = np.asarray(plain.resize((width, height), Image.Resampling.NEAREST))
        return nearest(resized, palette) if form == _LOSSY else resized

    return take


def remarks(sources: Sequence[Source], config: DataConfig, classes: Sequence[str]) -> list[str]:
    """What is worth knowing of label maps whose classes are given."""
    if sources and _stored(sources[0], _side(config))[0] == _LOSSY:
        return [f"label maps in JPEG files: each pixel is taken as the nearest of {len(classes)} colours"]
    return []


def _side(config: DataConfig) -> int:
    """Which of A and B are the label maps."""
    return 0 if config.direction == "AtoB" else 1


def _plain(image: Image.Image) -> Image.Image:
    """In RGB, whatever mode it has been decoded to."""
    return images.from_pixels(images.to_pixels(image, 3))


def _colours(image: Image.Image) -> Colours | None:
    """The colours of an RGB image, None where there are more than a palette has."""
    counted = image.getcolors(MOST)
    return None if counted is None else frozenset(colour for _, colour in counted if isinstance(colour, tuple))


def _stored(source: Source, side: int) -> tuple[str, int]:
    """The format of the label map's file and its bits a channel, where it has a file of its own."""
    files = [file for file in source.files if isinstance(file, Path)]
    if not files:
        return "", 8
    found = stored(files[min(side, len(files) - 1)])
    return found.form, found.bits
