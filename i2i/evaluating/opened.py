"""The images that something is scored on: a run's own test images, or those of a folder or an embedded set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from i2i.config import DataConfig
from i2i.data.aside import set_aside
from i2i.data.cache import Cache
from i2i.data.check import check, warnings
from i2i.data.decoded import Bring, Decoded, bring_one
from i2i.data.embedded import EMBEDDED
from i2i.data.labels import choose
from i2i.data.layouts import LAYOUTS, find
from i2i.data.pairs import Pairs, bring_pair
from i2i.data.samples import Samples, evenly
from i2i.data.semantic import check_config as check_semantic
from i2i.data.semantic import find_classes, take_labels
from i2i.data.singles import Images
from i2i.data.sources import PARTS, Found, Parts, SideBySide, Source, TwoImages
from i2i.data.threads import Progress, thread_count
from i2i.data.tree import check_tree, is_folder
from i2i.data.unpaired import Unpaired
from i2i.data.upscaled import Upscaled, bring_upscaled
from i2i.errors import DataError, did_you_mean
from i2i.evaluating.native import Native, bring_whole
from i2i.memory import free_memory
from i2i.plugin import Kind

Size = int | Literal["native"] | None
"""Pixels along the side of the square that is scored; "native": images as they are; None: as trained."""

ALL: Final = "all"  # what the split is called where a folder has none


@dataclass(frozen=True)
class Opened:
    """Samples that are scored, each whole and not augmented.

    config: by which they were brought. split: validation, test, or all. described: in a sentence. size: in words.
    warnings: for the user to see.
    """

    samples: Samples
    config: DataConfig
    split: str
    described: str
    size: str
    warnings: list[str] = field(default_factory=list)


def open_images(
    config: DataConfig,
    kind: Kind,
    *,
    own: bool,
    size: Size = None,
    classes: Sequence[str] = (),
    least: int = 1,
    progress: Progress | None = None,
) -> Opened:
    """Finds and checks the images in `config.source`, which for a run's own data are what training has set aside.

    own: the test images, or where there are fewer than `least` the validation's; else the test images where the data
    has some, or all that it has. classes: that the model knows, in its order. Up to 1 in 20 broken ones are left out
    with a warning. Raises DataError where there are none, or too many are broken.
    """
    # What is drawn at any size has none of its own: as it is, is as the run has it drawn.
    found, warned = _find(config if size == "native" else _sized(config, kind, size), kind, progress)
    config = _sized(config, kind, size)
    found, classes = _labelled(found, kind, config, classes)
    sides, split = _part(found, config, own=own, least=least)
    if kind == "semantic":
        check_semantic(config)
        if config.classes is None:
            config = config.model_copy(update={"classes": find_classes(sides[0], config, progress)[0]})
    given = any(isinstance(source, TwoImages | SideBySide) for source in sides[0])
    cache = Cache(int(config.cache * free_memory()))
    decoded = [Decoded(sources, _bring(kind, config, side, size), cache) for side, sources in enumerate(sides)]
    noun = "pair" if given else "image"
    checked = check(decoded, noun=noun, threads=thread_count(config.workers), progress=progress, whole=found.whole)
    decoded = [
        images.without({index for side, index in checked.broken if side == number})
        for number, images in enumerate(decoded)
    ]
    samples = _samples(kind, config, decoded, found, classes, size)
    if not len(samples):
        raise DataError(f"{config.source}: no images to score", LAYOUTS[kind])
    return Opened(
        samples,
        config,
        split,
        found.description or f"{_counted(kind, samples, decoded, noun)} from the folder{_places(config)}",
        _told(kind, config, size),
        [*warned, *warnings(list(checked.broken.values()), noun)],
    )


def _sized(config: DataConfig, kind: Kind, size: Size) -> DataConfig:
    """The configuration that brings images to the size at which they are scored."""
    if size is None:
        return config
    if size == "native":
        return config.model_copy(update={"fit": "none", "size": 1, "load_size": None})
    if kind == "upscaled":
        if size % config.scale:
            raise DataError(f"--size {size}: no multiple of {config.scale}, by which images are enlarged")
        return config
    return config.model_copy(update={"size": size, "load_size": None})


def _find(config: DataConfig, kind: Kind, progress: Progress | None) -> tuple[Found, list[str]]:
    if config.source in EMBEDDED and config.second is None:
        embedded = EMBEDDED[config.source]
        if kind not in embedded.kinds:
            raise DataError(f"{config.source}: has no {kind} data, but {', '.join(embedded.kinds)}", f"{LAYOUTS[kind]}")
        beside = Path(config.source).is_dir()
        meant = f"{config.source}: the embedded set, not the folder of that name, which is ./{config.source}"
        return embedded.load(config, kind, progress), [meant] if beside else []
    folders = [_folder(given) for given in (config.source, config.second) if given is not None]
    said = [line for folder in folders for line in check_tree(folder, links=config.links)]
    found = _below(folders, kind)
    return found, [*said, *found.warnings]


def _folder(given: str) -> Path:
    folder = Path(given).expanduser()
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "no folder and no embedded set of that name"
        raise DataError(f"{given}: {what}{did_you_mean(given, EMBEDDED)}", f"Embedded sets: {', '.join(EMBEDDED)}.")
    return folder


def _below(folders: Sequence[Path], kind: Kind) -> Found:
    """What is in the folders; those that were made for testing alone need no images to train on."""
    folder, *more = folders
    try:
        return find(folder, more[0] if more else None, kind)
    except DataError:
        if more:
            raise
        if kind == "unpaired" and is_folder(folder / "testA") and is_folder(folder / "testB"):
            return find(folder / "testA", folder / "testB", kind)
        if is_folder(folder / "test") and not is_folder(folder / "train"):
            return find(folder / "test", None, kind)
        raise


def _labelled(found: Found, kind: Kind, config: DataConfig, known: Sequence[str]) -> tuple[Found, tuple[str, ...]]:
    """What is found of the classes that are used, and all classes in the order of their numbers."""
    if kind != "labelled":
        return found, ()
    if not known:
        return choose(found, config.classes)
    there = set(found.classes.values())
    for name in sorted(there - set(known)) if config.classes is None else ():
        raise DataError(
            f"{config.source}: images of a class that the model does not know, '{name}'{did_you_mean(name, known)}",
            f"It knows: {', '.join(known)}.",
        )
    return choose(found, [name for name in known if name in there])[0], tuple(known)


def _part(found: Found, config: DataConfig, *, own: bool, least: int) -> tuple[list[list[Source]], str]:
    """The sources of each side that are scored, and what their split is called."""
    if own:
        aside: list[Parts] = [set_aside(parts, found.classes, config.validation) for parts in found.sides]
        test = [parts.get("test", []) for parts in aside]
        if min(map(len, test)) >= max(1, least):
            return test, "test"
        return [parts.get("validation", []) for parts in aside], "validation"
    if all(parts.get("test") for parts in found.sides):
        return [parts["test"] for parts in found.sides], "test"
    return [[source for part in PARTS for source in parts.get(part, [])] for parts in found.sides], ALL


def _bring(kind: Kind, config: DataConfig, side: int, size: Size) -> Bring:
    match kind:
        case "paired" | "semantic":
            take = take_labels(config, config.classes or ()) if kind == "semantic" else None
            return bring_whole(config, take) if size == "native" else bring_pair(config, config.size, take)
        case "upscaled":
            return bring_upscaled(config, size if isinstance(size, int) else config.scale)
        case "unpaired":
            is_input = (side == 0) == (config.direction == "AtoB")
            return bring_one(config, config.input_channels if is_input else config.target_channels, config.size)
    return bring_one(config, config.target_channels, config.size)


def _samples(
    kind: Kind, config: DataConfig, sides: list[Decoded], found: Found, classes: Sequence[str], size: Size
) -> Samples:
    match kind:
        case "paired" | "semantic":
            return Native(sides) if size == "native" else Pairs(sides[0], config)
        case "unpaired":
            count = min(map(len, sides))  # an image that were taken twice would be counted as two
            chosen = [side.chosen(evenly(len(side), count)) for side in sides]
            chosen = chosen if config.direction == "AtoB" else chosen[::-1]
            return Native(chosen) if size == "native" else Unpaired(chosen[0], chosen[1], config)
        case "upscaled":
            return Upscaled(sides[0], config, size if isinstance(size, int) else None)
        case "labelled":
            return Images(sides[0], config, [classes.index(found.classes[source]) for source in sides[0].sources])
        case "images":
            return Images(sides[0], config)


def _counted(kind: Kind, samples: Samples, sides: list[Decoded], noun: str) -> str:
    if kind == "unpaired":
        return f"{len(sides[0])} images of A and {len(sides[1])} of B"
    return f"{len(samples)} {noun}{'s' * (len(samples) != 1)}"


def _places(config: DataConfig) -> str:
    names = [f"'{Path(given).resolve().name}'" for given in (config.source, config.second) if given is not None]
    return f"{'s' * (len(names) - 1)} {' and '.join(names)}"


def _told(kind: Kind, config: DataConfig, size: Size) -> str:
    if size == "native":
        return "as they are"
    if kind == "upscaled":
        return f"the middle {size} x {size} pixels" if size is not None else "whole images"
    square = f"{config.size} x {config.size} pixels"
    match config.fit:
        case "stretch":
            return square
        case "scale":
            return f"the middle {square} of images with a shorter side of {config.size}"
    return f"the middle {square}"
