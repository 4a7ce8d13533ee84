"""Every image decoded once before training begins, so that no broken file stops a run that has cost hours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from i2i.data.decoded import Decoded
from i2i.data.digest import content
from i2i.data.look import remarks
from i2i.data.threads import Progress, read_ahead
from i2i.errors import DataError

TOLERATED: Final = 0.05  # of them may be broken and are left out; more is a mistake that should be mended
SHOWN: Final = 5

Place = tuple[int, int]
"""Which of the splits, and which image or pair of it."""


@dataclass(frozen=True)
class Checked:
    """What is wrong with each broken image or pair; of the others what they hold, by digest, and what is worth knowing.

    remarks: from a name and the remarks about it.
    """

    broken: dict[Place, DataError]
    contents: dict[Place, bytes]
    remarks: list[tuple[str, list[str]]]


def check(splits: Sequence[Decoded], *, noun: str, threads: int, progress: Progress | None, whole: bool) -> Checked:
    """Reads all; raises DataError where more than 1 in 20 are broken. `noun` is what one of them is called.

    It costs what reading one epoch costs, and what is decoded here and fits in the cache is not decoded again.
    whole: none can be broken, so none is decoded.
    """
    places = [(split, index) for split, images in enumerate(splits) for index in range(len(images))]

    def look(place: Place) -> DataError | tuple[bytes, list[str]]:
        images, index = splits[place[0]], place[1]
        try:
            if not whole:
                images.read(index)
            return content(images.sources[index]), remarks(images.sources[index])  # still in the system's memory
        except DataError as error:
            return error

    checked = Checked({}, {}, [])
    with closing(read_ahead(look, places, threads=threads, ahead=4 * threads)) as looks:
        for done, (place, found) in enumerate(zip(places, looks, strict=True), start=1):
            if isinstance(found, DataError):
                checked.broken[place] = found
            else:
                checked.contents[place], said = found
                checked.remarks.append((splits[place[0]].sources[place[1]].name, said))
            if len(checked.broken) >= SHOWN and len(checked.broken) > TOLERATED * len(places):
                break  # it will not get better
            if progress is not None and not whole:
                progress(done, len(places), "checking the images")
    judge(list(checked.broken.values()), len(places), noun)
    return checked


def judge(errors: Sequence[DataError], count: int, noun: str) -> None:
    """Raises DataError where `errors` are too many for `count` images or pairs."""
    if len(errors) > TOLERATED * count:
        raise _too_many(errors, count, noun)


def warnings(errors: Sequence[DataError], noun: str) -> list[str]:
    """One for each of the first few that are broken, and one with their number where there are more."""
    shown = [f"{error.message}; the {noun} is left out" for error in errors[:SHOWN]]
    return shown if len(errors) <= SHOWN else [*shown, f"{len(errors)} {noun}s are left out in all"]


def _too_many(errors: Sequence[DataError], count: int, noun: str) -> DataError:
    if count == 1:
        return errors[0]
    lines = "\n".join(f"  {error.message}" for error in errors[:SHOWN])
    hints = {error.hint for error in errors if error.hint}
    return DataError(
        f"more than 1 in 20 of the {count} {noun}s cannot be used, among them\n{lines}",
        "\n  ".join(sorted(hints)) or None,
    )
