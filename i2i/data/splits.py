"""What a DataConfig means: its images found, checked, and set apart for training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from i2i.config import DataConfig
from i2i.data.aside import set_aside
from i2i.data.cache import Cache
from i2i.data.check import Checked, check, warnings
from i2i.data.decoded import Bring, Decoded, bring_one
from i2i.data.digest import digest
from i2i.data.embedded import EMBEDDED
from i2i.data.labels import check_classes, choose
from i2i.data.layouts import LAYOUTS, find
from i2i.data.pairs import Pairs, bring_pair
from i2i.data.samples import Samples, evenly
from i2i.data.semantic import check_config as check_semantic
from i2i.data.semantic import find_classes, remarks, take_labels
from i2i.data.singles import Images
from i2i.data.sources import PARTS, Found, Part, SideBySide, TwoImages
from i2i.data.threads import Progress, thread_count
from i2i.data.told import remarked
from i2i.data.tree import check_tree
from i2i.data.unpaired import Unpaired
from i2i.data.upscaled import Upscaled, bring_upscaled
from i2i.data.upscaled import check_config as check_upscaled
from i2i.errors import DataError, did_you_mean
from i2i.memory import free_memory
from i2i.plugin import Kind


@dataclass(frozen=True)
class Splits:
    """The samples for each purpose.

    `validation` is empty only where there is a single image or `DataConfig.validation` is 0; `test` is empty where the
    data has no such split. `description` is one sentence for the model; `warnings` are for the user to see once;
    `classes` are the names of the classes in the order of their numbers, or the colours of label maps; none where the
    data has no classes. `given`: whether there are inputs beside the targets, which are otherwise made of these.
    `digests`, by split: of the names and all bytes of the files; of a set that a package holds whole, of its release.
    `held`: the images of `validation`, brought as those of `train` are: what training has not seen of its very kind.
    """

    train: Samples
    validation: Samples
    test: Samples
    held: Samples
    description: str
    warnings: list[str] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    given: bool = False
    digests: dict[str, str] = field(default_factory=dict)


def open_splits(config: DataConfig, kind: Kind = "paired", *, progress: Progress | None = None) -> Splits:
    """Opens the set or the folder that `config.source` names; an embedded set goes before a folder of the same name.

    Every file is decoded once, here, so that none stops a training that has begun; what fits in the cache is kept.
    Up to 1 in 20 broken ones are left out with a warning. Which are set aside is decided by their names alone: adding
    others moves none. Raises DataError where there is nothing to train on, or too much is broken.
    """
    found, classes = choose(_find(config, kind, progress), config.classes)
    found = replace(found, sides=[set_aside(parts, found.classes, config.validation) for parts in found.sides])
    if kind == "upscaled":
        check_upscaled(config, given=_twofold(found))
    said = list(found.warnings)
    if kind == "semantic":
        check_semantic(config)
        trained = found.sides[0]["train"]
        if config.classes is None:
            config = config.model_copy(update={"classes": find_classes(trained, config, progress)[0]})
        classes = tuple(colour.lower() for colour in config.classes or ())
        said += remarks(trained, config, classes)
    cache = Cache(int(config.cache * free_memory()))
    decoded = [
        {part: Decoded(parts.get(part, []), _bring(kind, config, part, side), cache) for part in PARTS}
        for side, parts in enumerate(found.sides)
    ]
    noun = "pair" if kind == "paired" or _twofold(found) else "image"
    every = [images for parts in decoded for images in parts.values()]
    checked = check(every, noun=noun, threads=thread_count(config.workers), progress=progress, whole=found.whole)
    left = iter(every[n].without({index for split, index in checked.broken if split == n}) for n in range(len(every)))
    decoded = [{part: next(left) for part in parts} for parts in decoded]
    said += [*warnings(list(checked.broken.values()), noun), *remarked(checked.remarks)]
    if kind == "labelled":
        check_classes([found.classes[source] for source in decoded[0]["train"].sources], classes)
    train, validation, test = (
        _samples(kind, config, part, [parts[part] for parts in decoded], found, classes) for part in PARTS
    )
    alike = [
        Decoded(parts["validation"].sources, _bring(kind, config, "train", side), cache)
        for side, parts in enumerate(decoded)
    ]
    held = _samples(kind, config, "train", alike, found, classes)
    if not len(train):
        raise DataError(f"data.source {config.source}: nothing is left to train on")
    sizes = f"{len(train)} to train, {len(validation)} to validate and {len(test)} to test"
    what = found.description or _described(kind, config, [sum(map(len, parts.values())) for parts in decoded], classes)
    description = f"{what}{_how(kind, config)}: {sizes}."
    return Splits(train, validation, test, held, description, said, classes, _twofold(found), _digests(found, checked))


def _digests(found: Found, checked: Checked) -> dict[str, str]:
    """By split, of all its sides: they were checked in the order of `PARTS`, of the one side after the other."""
    contents: dict[str, list[list[bytes]]] = {part: [[] for _ in found.sides] for part in PARTS}
    for split, index in sorted(checked.contents):
        side, part = divmod(split, len(PARTS))
        contents[PARTS[part]][side].append(checked.contents[split, index])
    return {part: digest(found.description, sides) for part, sides in contents.items()}


def _find(config: DataConfig, kind: Kind, progress: Progress | None) -> Found:
    if config.source in EMBEDDED:
        if config.second is not None:
            raise DataError(
                f"data.second {config.second}: the embedded set {config.source} has both sides",
                "Give two folders, or the set alone.",
            )
        embedded = EMBEDDED[config.source]
        if kind not in embedded.kinds:
            serving = [each.name for each in EMBEDDED.values() if kind in each.kinds]
            raise DataError(
                f"data.source {config.source}: has no {kind} data, but {', '.join(embedded.kinds)}",
                f"Embedded sets of {kind} data: {', '.join(serving)}."
                if serving
                else f"No embedded set has label maps.\n  {LAYOUTS[kind]}",
            )
        return embedded.load(config, kind, progress)
    second = None if config.second is None else _folder("data.second", config.second, kind)
    source = _folder("data.source", config.source, kind)
    said = [line for each in (source, second) if each is not None for line in check_tree(each, links=config.links)]
    found = find(source, second, kind)
    return replace(found, warnings=[*said, *found.warnings])


def _folder(key: str, given: str, kind: Kind) -> Path:
    folder = Path(given).expanduser()
    if folder.is_dir():
        return folder
    if key == "data.second":  # an embedded set comes whole
        what = "a file, not a folder" if folder.exists() else "no folder of that name"
        raise DataError(f"{key} {given}: {what}", LAYOUTS[kind])
    what = "a file, not a folder" if folder.exists() else "no folder and no embedded set of that name"
    raise DataError(
        f"{key} {given}: {what}{did_you_mean(given, EMBEDDED)}",
        f"Embedded sets: {', '.join(EMBEDDED)}.\n  {LAYOUTS[kind]}",
    )


def _twofold(found: Found) -> bool:
    """Whether a source holds two images."""
    return any(isinstance(source, (TwoImages, SideBySide)) for source in found.sides[0]["train"])


def _bring(kind: Kind, config: DataConfig, part: Part, side: int) -> Bring:
    size = config.resized if part == "train" else config.size
    match kind:
        case "paired":
            return bring_pair(config, size)
        case "semantic":
            return bring_pair(config, size, take_labels(config, config.classes or ()))
        case "upscaled":
            return bring_upscaled(config, config.size if part == "train" else _evaluated(config, part) or config.scale)
        case "unpaired":
            is_input = (side == 0) == (config.direction == "AtoB")
            return bring_one(config, config.input_channels if is_input else config.target_channels, size)
    return bring_one(config, config.target_channels, size)


def _evaluated(config: DataConfig, part: Part) -> int | None:
    """The side of the square that is scored: of test images it is all."""
    return config.evaluation_size if part == "validation" else None


def _samples(
    kind: Kind, config: DataConfig, part: Part, sides: list[Decoded], found: Found, classes: tuple[str, ...]
) -> Samples:
    match kind:
        case "paired":
            return Pairs(sides[0], config)
        case "semantic":
            return Pairs(sides[0], config, labels=True)
        case "unpaired":
            if part != "train":  # an image that were taken twice would be counted as two
                count = min(map(len, sides))
                sides = [side.chosen(evenly(len(side), count)) for side in sides]
            inputs, targets = sides if config.direction == "AtoB" else sides[::-1]
            return Unpaired(inputs, targets, config)
        case "upscaled":
            return Upscaled(sides[0], config, _evaluated(config, part))
        case "labelled":
            return Images(sides[0], config, [classes.index(found.classes[source]) for source in sides[0].sources])
        case "images":
            return Images(sides[0], config)


def _described(kind: Kind, config: DataConfig, counts: list[int], classes: tuple[str, ...]) -> str:
    folders = [f"'{Path(given).resolve().name}'" for given in (config.source, config.second) if given is not None]
    place = f"from the folder{'s' * (len(folders) - 1)} {' and '.join(folders)}"
    match kind:
        case "paired":
            return f"{counts[0]} pairs of images {place}"
        case "semantic":
            return f"{counts[0]} pairs of label map, of {len(classes)} classes, and image {place}"
        case "unpaired":
            return f"{counts[0]} images of A and {counts[1]} of B, unpaired, {place}"
        case "labelled":
            return f"{counts[0]} images of {len(classes)} classes {place}"
    return f"{counts[0]} images {place}"


def _how(kind: Kind, config: DataConfig) -> str:
    if kind in ("paired", "semantic", "unpaired"):
        return ", A to B" if config.direction == "AtoB" else ", B to A"
    return f", to be made {config.scale} times as large" if kind == "upscaled" and config.scale > 1 else ""
