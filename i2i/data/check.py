"""Every image decoded once before training begins, so that no broken file stops a run that has cost hours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Final

from i2i.data.decoded import Decoded
from i2i.data.threads import Progress, read_ahead
from i2i.errors import DataError

TOLERATED: Final = 0.05  # of them may be broken and are left out; more is a mistake that should be mended
SHOWN: Final = 5

Broken = dict[tuple[int, int], DataError]
"""What is wrong with each broken image or pair, by (which of the splits, index)."""


def find_broken(splits: Sequence[Decoded], *, noun: str, threads: int, progress: Progress | None) -> Broken:
    """Reads all; raises DataError where more than 1 in 20 are broken. `noun` is what one of them is called.

    It costs what reading one epoch costs, and what is decoded here and fits in the cache is not decoded again.
    """
    places = [(split, index) for split, images in enumerate(splits) for index in range(len(images))]

    def fault(place: tuple[int, int]) -> DataError | None:
        try:
            splits[place[0]].read(place[1])
        except DataError as error:
            return error
        return None

    broken: Broken = {}
    with closing(read_ahead(fault, places, threads=threads, ahead=4 * threads)) as faults:
        for done, (place, error) in enumerate(zip(places, faults, strict=True), start=1):
            if error is not None:
                broken[place] = error
            if len(broken) >= SHOWN and len(broken) > TOLERATED * len(places):
                break  # it will not get better
            if progress is not None:
                progress(done, len(places), "checking the images")
    judge(list(broken.values()), len(places), noun)
    return broken


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
