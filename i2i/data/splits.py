"""What a DataConfig means: its pairs found, checked, and set apart for training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from i2i.config import DataConfig
from i2i.data import openmoji
from i2i.data.aside import held_out
from i2i.data.cache import Cache, free_memory
from i2i.data.check import find_broken, warnings
from i2i.data.folder import LAYOUTS, Found, find_pairs
from i2i.data.pairs import Pairs
from i2i.data.sources import Part, Source
from i2i.data.threads import Progress, thread_count
from i2i.errors import DataError, did_you_mean

EMBEDDED: Final = ("openmoji",)
_PARTS: Final[tuple[Part, ...]] = ("train", "validation", "test")

Sources = dict[Part, list[Source]]


@dataclass(frozen=True)
class Splits:
    """The pairs for each purpose.

    `validation` is empty only where there is a single pair or `DataConfig.validation` is 0; `test` is empty where the
    data has no such split. `description` is one sentence for the model; `warnings` are for the user to see once.
    """

    train: Pairs
    validation: Pairs
    test: Pairs
    description: str
    warnings: list[str] = field(default_factory=list)


def open_splits(config: DataConfig, *, progress: Progress | None = None) -> Splits:
    """Opens the set or the folder that `config.source` names; an embedded set goes before a folder of the same name.

    Every file is decoded once, here, so that none stops a training that has begun; what fits in the cache is kept.
    Up to 1 in 20 broken pairs are left out with a warning. Which pairs are set aside is decided by their names alone:
    adding others moves none. Raises DataError where there are no pairs, or too many broken ones.
    """
    cache = Cache(int(config.cache * free_memory()))
    if config.source in EMBEDDED:
        parts, description = openmoji.load(config.resized, config.size, progress=progress)
        return _splits(parts, config, cache, description, [])
    found = _find(config)
    sources = _set_aside(found.parts, config.validation)
    opened = [_pairs(sources, part, config, cache) for part in _PARTS]
    broken = find_broken(opened, threads=thread_count(config.workers), progress=progress)
    left = {
        part: [source for index, source in enumerate(sources.get(part, [])) if (number, index) not in broken]
        for number, part in enumerate(_PARTS)
    }
    if not left["train"]:
        raise DataError(f"{config.source}: no pair to train on")
    count = sum(map(len, left.values()))
    description = f"{count} pairs of images from the folder '{Path(config.source).resolve().name}'"
    return _splits(left, config, cache, description, found.warnings + warnings(broken))


def _find(config: DataConfig) -> Found:
    folder = Path(config.source).expanduser()
    if folder.is_dir():
        return find_pairs(folder)
    what = "a file, not a folder" if folder.exists() else "no folder and no embedded set of that name"
    guess = did_you_mean(config.source, EMBEDDED)
    raise DataError(
        f"data.source {config.source}: {what}{guess}", f"Embedded sets: {', '.join(EMBEDDED)}.\n  {LAYOUTS}"
    )


def _set_aside(parts: Sources, fraction: float) -> Sources:
    """Takes pairs from training for validation, where the data has no validation split of its own."""
    if "validation" in parts or fraction == 0:
        return parts
    train = parts["train"]
    aside = held_out((source.name for source in train), fraction)
    return {
        **parts,
        "train": [source for source in train if source.name not in aside],
        "validation": [source for source in train if source.name in aside],
    }


def _pairs(parts: Sources, part: Part, config: DataConfig, cache: Cache) -> Pairs:
    side = config.resized if part == "train" else config.size
    return Pairs(parts.get(part, []), config, side=side, cache=cache)


def _splits(parts: Sources, config: DataConfig, cache: Cache, description: str, said: list[str]) -> Splits:
    train, validation, test = (_pairs(parts, part, config, cache) for part in _PARTS)
    sizes = f"{len(train)} to train, {len(validation)} to validate and {len(test)} to test"
    direction = "A to B" if config.direction == "AtoB" else "B to A"
    return Splits(train, validation, test, f"{description}, {direction}: {sizes}.", said)
