"""The inputs on which a variant is fitted and judged: validation images, or noise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from i2i import noise
from i2i.artifact import INPUT, LABEL, NOISE
from i2i.data import Samples
from i2i.errors import ExportError
from i2i.games.game import Export, NoiseExport
from i2i.images import Pixels, resize
from i2i_export.calibrate import Inputs

_MOST = 32  # images to judge on
_FITTED = 16  # images to fit to: ranges need fewer
_LEAST = 4
_SIDE = 256  # pixels along the side of what is made; larger images are cut to their middle


@dataclass(frozen=True)
class Cases:
    """Inputs of one image each. fitting: to choose by. judging: others, unless there is only one."""

    fitting: Sequence[Inputs]
    judging: Sequence[Inputs]


def of_images(samples: Samples, export: Export) -> Cases:
    """Evenly spaced samples, every second one for either; raises ExportError where there are none."""
    side = longest(export, _SIDE)
    most = max(_LEAST, min(_MOST, _MOST * _SIDE**2 // (side * export.scale) ** 2))
    chosen = samples.spread(2 * most)
    if not len(chosen):
        raise ExportError(
            "the run's data has no validation images, on which a variant is fitted and judged",
            "Set data.validation above 0 in the run's config.yaml.",
        )
    shown = (chosen.evaluating(index)[export.examples].astype(np.uint8) for index in range(len(chosen)))
    return of_pictures(shown, export)


def of_pictures(pictures: Iterable[Pixels], export: Export) -> Cases:
    """Pictures uint8 `[H, W, C]`, at least one, every second one for either."""
    side = longest(export, _SIDE)
    inputs: list[Inputs] = [{INPUT: _cut(picture, side, export)[None]} for picture in pictures]
    fitting = inputs[::2]
    return Cases(fitting[:: -(-len(fitting) // _FITTED)], inputs[1::2] or inputs)


def of_noise(export: NoiseExport) -> Cases:
    """Noise, and where there are classes each in turn."""

    def drawn(seed: int, count: int) -> list[Inputs]:
        rows = noise.draw(seed, count, export.noise)
        labels = np.arange(count, dtype=np.int64) % max(len(export.classes), 1)
        given: list[Inputs] = []
        for index in range(count):
            part = slice(index, index + 1)
            given.append({NOISE: rows[part], **({LABEL: labels[part]} if export.classes else {})})
        return given

    return Cases(drawn(1, _FITTED), drawn(2, _MOST))  # 0 is the seed that users see first


def longest(export: Export, side: int) -> int:
    """Pixels along the side of a square of which images of about `side` pixels are made; at least what is taken."""
    return max(_least(export), side // export.scale // export.multiple * export.multiple)


def _least(export: Export) -> int:
    least = export.multiple if export.minimum is None else export.minimum
    return -(-least // export.multiple) * export.multiple


def _cut(picture: Pixels, side: int, export: Export) -> Pixels:
    """The middle of a picture in a size that the network takes; a smaller picture is enlarged."""
    tall, wide = (min(extent, side) // export.multiple * export.multiple for extent in picture.shape[:2])
    top, left = (picture.shape[0] - tall) // 2, (picture.shape[1] - wide) // 2
    middle = picture[top : top + tall, left : left + wide]
    least = _least(export)
    if min(tall, wide) < least:
        middle = resize(picture, max(tall, least), max(wide, least))
    return np.ascontiguousarray(middle)
