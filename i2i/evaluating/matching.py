"""Which of the finished images of another program belongs to which sample."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from i2i.data.folder import named
from i2i.data.samples import evenly
from i2i.data.told import some
from i2i.data.tree import find
from i2i.errors import DataError, did_you_mean

# What pytorch-CycleGAN-and-pix2pix and BasicSR put behind the names of what they have made.
_ENDINGS: Final = ("_fake_B", "_fake_A", "_fake", "_out", "_SR")


def match(folder: Path, names: Sequence[str]) -> list[Path]:
    """The file of each sample: of its name without the suffix, or with one and the same ending behind all names.

    Raises DataError where there are no images, or one is missing.
    """
    files = named(folder, find(folder))
    if not files:
        raise DataError(f"{folder}: no images in it", "Give a folder with an image for each target, of its name.")
    ending = _ending(files, names)
    missing = [name for name in names if f"{name}{ending}" not in files]
    if missing:
        raise DataError(
            f"{folder}: no images for {len(missing)} of the {len(names)} targets, among them {some(missing)}"
            f"{did_you_mean(missing[0], files)}",
            f"Call each as its target is called, with any suffix of images; there are {some(files)}.",
        )
    return [files[f"{name}{ending}"] for name in names]


def spread(folder: Path, count: int) -> list[Path]:
    """At most `count` of the images, evenly spaced: of images that have no targets of their own; raises DataError."""
    files = sorted(named(folder, find(folder)).values())
    if not files:
        raise DataError(f"{folder}: no images in it", "Give a folder of images.")
    return [files[index] for index in evenly(len(files), count)]


def _ending(files: dict[str, Path], names: Sequence[str]) -> str:
    """What stands behind the names of all samples: nothing where any is there as it is called."""
    if any(name in files for name in names):
        return ""
    behind = {file.removeprefix(names[0]) for file in files if file.startswith(names[0])}
    complete = sorted(ending for ending in behind if all(f"{name}{ending}" in files for name in names))
    if len(complete) == 1:
        return complete[0]
    return next((ending for ending in _ENDINGS if ending in complete), "")
