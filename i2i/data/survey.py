"""A folder looked at before training: what is understood of it, what is in it, and what training would refuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Final

from i2i.config import DataConfig
from i2i.data.aside import set_aside
from i2i.data.check import judge, warnings
from i2i.data.labels import check_classes, choose
from i2i.data.layouts import find, guess
from i2i.data.look import Look, duplicates, look, stored
from i2i.data.semantic import find_classes
from i2i.data.sources import PARTS, Part, Source
from i2i.data.threads import Progress, read_ahead, thread_count
from i2i.data.told import remarked, shortened
from i2i.data.tree import check_tree, is_folder
from i2i.errors import DataError
from i2i.header import Header
from i2i.images import MAX_BYTES
from i2i.plugin import Kind

_HELD: Final[tuple[tuple[Part, Part], ...]] = (("validation", "train"), ("test", "train"), ("test", "validation"))


@dataclass(frozen=True)
class Range:
    """Of some numbers of pixels."""

    smallest: int
    median: float
    largest: int


@dataclass(frozen=True)
class Side:
    """The images of one role: `A`, `B`, or `images` where there is one alone.

    splits: how many are in each. unusual: how many are not of the commonest size. forms, files: how many are decoded
    to which mode, and stored in which format and bits a channel.
    """

    role: str
    splits: dict[str, int]
    width: Range
    height: Range
    unusual: int
    forms: dict[str, int]
    files: dict[str, int]


@dataclass(frozen=True)
class Survey:
    """What was seen. Training would refuse the folder where there are `problems`; `warnings` are worth a look.

    layout: what was understood, in words. classes: how many images, or label maps, of each there are to train on.
    """

    kind: Kind
    layout: str = ""
    sides: list[Side] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """A source where it stands: A (0) or B (1) of sides that are unrelated, 0 where there is one."""

    side: int
    part: Part
    source: Source


@dataclass(frozen=True)
class _Seen:
    """One image, and what its file says."""

    place: _Place
    stored: Header
    look: Look


def survey(
    source: Path,
    second: Path | None = None,
    kind: Kind | None = None,
    progress: Progress | None = None,
    *,
    links: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Survey:
    """Decodes every image of a folder, or of two, and says what training would find; without `kind` it is guessed.

    links, max_bytes: as in DataConfig. Raises DataError where there is no such folder, or one of links that must not be
    followed.
    """
    said: list[str] = []
    for folder in (source, second):
        if folder is not None and not is_folder(folder):
            raise DataError(f"{folder}: no folder", "Say which folder to check.")
        if folder is not None:
            said += check_tree(folder, links=links)
    kind = kind or ("unpaired" if second is not None else guess(source))
    try:
        found, classes = choose(find(source, second, kind), None)
    except DataError as error:
        return Survey(kind, problems=[str(error)])
    apart = [set_aside(parts, found.classes, DataConfig().validation) for parts in found.sides]
    places = [
        _Place(side, part, source)
        for side, parts in enumerate(apart)
        for part in PARTS
        for source in parts.get(part, [])
    ]
    seen, broken = _look_at(places, progress, max_bytes)
    twofold = any(len(looks) == 2 for looks in seen)
    noun = "pair" if twofold or kind == "paired" else "image"
    trained = Counter(found.classes.get(looks[0].place.source, "") for looks in seen if looks[0].place.part == "train")
    problems = _scales(seen) if kind == "upscaled" and twofold else []
    said += found.warnings
    try:
        judge(broken, len(places), noun)
        if kind == "semantic":
            classes, trained, swapped = _label_maps(apart[0]["train"], progress, max_bytes)
            said += ["the label maps are in B: set data.direction=BtoA"] if swapped else []
        else:
            check_classes(trained, classes)
    except DataError as error:
        problems.append(str(error))
    said += [] if problems else warnings(broken, noun)
    roles = _roles(seen, len(apart))
    return Survey(
        kind,
        found.layout,
        [_side(role, listed) for role, listed in roles.items()],
        {name: trained[name] for name in classes},
        said + [remark for role, listed in roles.items() for remark in _remarks(role, listed)],
        problems,
    )


def _label_maps(
    sources: Sequence[Source], progress: Progress | None, max_bytes: int
) -> tuple[tuple[str, ...], Counter[str], bool]:
    """The classes of label maps, how many maps have each, and whether B are the maps; raises DataError."""
    try:
        return *find_classes(sources, DataConfig(max_bytes=max_bytes), progress), False
    except DataError as error:
        try:
            return *find_classes(sources, DataConfig(direction="BtoA", max_bytes=max_bytes), progress), True
        except DataError:
            raise error from None


def _look_at(
    places: Sequence[_Place], progress: Progress | None, max_bytes: int
) -> tuple[list[list[_Seen]], list[DataError]]:
    """What is seen of each source, one or two images, and what is wrong with the others."""
    seen: list[list[_Seen]] = []
    broken: list[DataError] = []
    threads = thread_count(None)
    read = partial(_open, max_bytes=max_bytes)
    with closing(read_ahead(read, places, threads=threads, ahead=4 * threads)) as opened:
        for done, looks in enumerate(opened, start=1):
            if isinstance(looks, DataError):
                broken.append(looks)
            else:
                seen.append(looks)
            if progress is not None:
                progress(done, len(places), "looking at the images")
    return seen, broken


def _open(place: _Place, max_bytes: int) -> list[_Seen] | DataError:
    try:
        opened = place.source.open(max_bytes)
    except DataError as error:
        return error
    files = [stored(file) for file in place.source.files if isinstance(file, Path)]
    return [_Seen(place, file, look(image)) for file, image in zip(cycle(files), opened, strict=False)]


def _roles(seen: Sequence[Sequence[_Seen]], sides: int) -> dict[str, list[_Seen]]:
    """The images by their role."""
    roles: dict[str, list[_Seen]] = {}
    for looks in seen:
        for number, each in enumerate(looks):
            role = "images" if sides == len(looks) == 1 else "AB"[max(number, each.place.side)]
            roles.setdefault(role, []).append(each)
    return roles


def _side(role: str, listed: Sequence[_Seen]) -> Side:
    sizes = Counter(each.look.size for each in listed)
    widths, heights = zip(*sizes.elements(), strict=True)
    return Side(
        role,
        {str(part): sum(each.place.part == part for each in listed) for part in PARTS},
        Range(min(widths), median(widths), max(widths)),
        Range(min(heights), median(heights), max(heights)),
        len(listed) - sizes.most_common(1)[0][1],
        dict(Counter(each.look.form for each in listed).most_common()),
        dict(Counter(f"{each.stored.form}, {each.stored.bits} bit" for each in listed).most_common()),
    )


def _remarks(role: str, listed: Sequence[_Seen]) -> list[str]:
    """What is worth a look: images of one colour, levels that are lost, and images that are in two splits."""
    where = "" if role == "images" else f"{role}: "
    said = []
    if constant := [each.place.source.name for each in listed if each.look.constant]:
        said.append(f"{where}{len(constant)} of a single colour: {shortened(constant)}")
    of_files = remarked((each.place.source.name, each.stored.remarks) for each in listed)
    said += [f"{where}{remark}" for remark in of_files]
    by_part = {part: [each for each in listed if each.place.part == part] for part in PARTS}
    for held, other in _HELD:
        found = duplicates([each.look for each in by_part[held]], [each.look for each in by_part[other]])
        for how, same in zip(("the same as", "nearly the same as"), found, strict=True):
            names = [f"{by_part[held][a].place.source.name} = {by_part[other][b].place.source.name}" for a, b in same]
            if names:
                said.append(f"{where}{len(names)} of {held} are {how} one of {other}: {shortened(names)}")
    return said


def _scales(seen: Sequence[Sequence[_Seen]]) -> list[str]:
    """For given low resolutions: nothing where one whole number leads to every high one."""
    scales = Counter(_scale(low.look.size, high.look.size) for low, high in seen)
    if len(scales) == 1 and None not in scales:
        return []
    told = ", ".join(f"{count} of {scale or 'no whole number'}" for scale, count in scales.most_common())
    return [f"B is not everywhere the same whole number of times as large as A: {told}"]


def _scale(low: tuple[int, int], high: tuple[int, int]) -> int | None:
    scale = high[0] // low[0]
    return scale if high == (low[0] * scale, low[1] * scale) else None
