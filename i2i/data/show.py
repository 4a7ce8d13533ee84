"""A contact sheet of what a set or a folder holds."""

from __future__ import annotations

from typing import Final

import numpy as np

from i2i import images, sheet
from i2i.config import DataConfig
from i2i.data.samples import Sample, Samples, evenly
from i2i.data.splits import Splits, open_splits
from i2i.data.threads import Progress
from i2i.images import Pixels
from i2i.plugin import Kind

_SIDE: Final = 96  # pixels along the longer side of a picture
_COLUMNS: Final = 8
_ROWS: Final = 4


def contact_sheet(source: str, kind: Kind, progress: Progress | None = None) -> tuple[Pixels, Splits]:
    """A sheet of what there is to train on, uint8 `[H, W, 3]`, and what was opened.

    Of labelled data a row for each class; otherwise images evenly spaced, those of A and B above each other. Raises
    DataError where the data cannot be opened.
    """
    fit = "none" if kind == "upscaled" else "stretch"
    size = 8 if kind == "upscaled" else _SIDE  # nothing is cut from the images here, so none is too small
    config = DataConfig(source=source, fit=fit, size=size, load_size=size, cache=0.0)
    splits = open_splits(config, kind, progress=progress)
    train = splits.train
    if kind == "labelled":
        return sheet.lay(_by_class(train, splits.classes), names=splits.classes), splits
    shown = train.spread(_COLUMNS * _ROWS)
    pictures = [_picture(shown.evaluating(index), kind) for index in range(len(shown))]
    return sheet.lay(sheet.wrap(pictures, _COLUMNS)), splits


def _by_class(train: Samples, classes: tuple[str, ...]) -> list[list[Pixels]]:
    rows = []
    for name in classes:
        of_class = [index for index, each in enumerate(train.names) if each.partition("/")[0] == name]
        chosen = (of_class[place] for place in evenly(len(of_class), _COLUMNS))
        rows.append([_small(np.asarray(train.evaluating(index)["target"], np.uint8)) for index in chosen])
    return rows


def _picture(sample: Sample, kind: Kind) -> Pixels:
    roles = ("input", "target") if kind in ("paired", "semantic", "unpaired") else ("target",)
    return np.concatenate([_small(np.asarray(sample[role], np.uint8)) for role in roles])


def _small(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    longer = max(height, width, _SIDE)
    return images.resize(picture, max(1, height * _SIDE // longer), max(1, width * _SIDE // longer))
