"""Every pair decoded once before training begins, so that no broken file stops a run that has cost hours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Final

from i2i.data.pairs import Pairs
from i2i.data.threads import Progress, read_ahead
from i2i.errors import DataError

TOLERATED: Final = 0.05  # of the pairs may be broken and are left out; more is a mistake that should be mended
SHOWN: Final = 5


def find_broken(
    splits: Sequence[Pairs], *, threads: int, progress: Progress | None
) -> dict[tuple[int, int], DataError]:
    """What is wrong with each broken pair, by (split, index); raises DataError where more than 1 in 20 are broken.

    It costs what reading one epoch costs, and what is decoded here and fits in the cache is not decoded again.
    """
    places = [(split, index) for split, pairs in enumerate(splits) for index in range(len(pairs))]

    def fault(place: tuple[int, int]) -> DataError | None:
        try:
            splits[place[0]].read(place[1])
        except DataError as error:
            return error
        return None

    broken: dict[tuple[int, int], DataError] = {}
    with closing(read_ahead(fault, places, threads=threads, ahead=4 * threads)) as faults:
        for done, (place, error) in enumerate(zip(places, faults, strict=True), start=1):
            if error is not None:
                broken[place] = error
            if len(broken) >= SHOWN and len(broken) > TOLERATED * len(places):
                break  # it will not get better
            if progress is not None:
                progress(done, len(places), "checking the images")
    if len(broken) > TOLERATED * len(places):
        raise _too_many(broken, len(places))
    return broken


def warnings(broken: Mapping[tuple[int, int], DataError]) -> list[str]:
    """One for each of the first few broken pairs, and one with their number where there are more."""
    errors = list(broken.values())
    shown = [f"{error.message}; the pair is left out" for error in errors[:SHOWN]]
    return shown if len(errors) <= SHOWN else [*shown, f"{len(errors)} pairs are left out in all"]


def _too_many(broken: Mapping[tuple[int, int], DataError], count: int) -> DataError:
    errors = list(broken.values())
    if count == 1:
        return errors[0]
    lines = "\n".join(f"  {error.message}" for error in errors[:SHOWN])
    hints = {error.hint for error in errors if error.hint}
    return DataError(
        f"more than 1 in 20 of the {count} pairs cannot be used, among them\n{lines}",
        "\n  ".join(sorted(hints)) or None,
    )
