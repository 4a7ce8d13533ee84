"""Losses that swing or grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Final

from i2i.training.diagnosis.history import (
    Facts,
    History,
    Reading,
    Record,
    at_least,
    generator_terms,
    hold,
    smooth,
    values,
)

_PARTS: Final = 20  # of what is looked at: fewer records say nothing about swings
_SPAN: Final = 0.4  # share of the steps that is looked at
_LOW: Final = 0.35  # accuracy of a discriminator that is behind
_HIGH: Final = 0.65  # and of one that is ahead
_SHARE: Final = 0.2  # of the parts in which each of the two is so
_TURNS: Final = 4
_WORSE: Final = 1.5  # times the loss of a guess
_WIDTH: Final = 5  # records of which the median is taken
_EARLY: Final = 0.2  # share of the steps with which later ones are compared
_GROWN: Final = 10.0  # times what a loss was early
_ADVERSARIAL: Final = (
    30.0  # likewise the generators' part of the game, which is large wherever the other player is ahead
)
_SLOPE: Final = 10.0  # a norm of a gradient that is no cause for alarm, however small it was early


def oscillation(history: History, facts: Facts) -> Reading | None:
    """Whether the players overtake each other in turn.

    A discriminator that follows the generator is right in at least half of the cases, and its loss at most that of a
    guess. Slow swings show in its accuracy: in means over twentieths of the time looked at, as a single record may be
    of a few images only. Fast ones show in a loss that is above that of a guess.
    """
    records = history.latest(_SPAN * facts.steps)
    if records:  # of a short run these may be few
        records = history.train[-max(_PARTS, len(records)) :]
    if len(values(records, "accuracy")) < _PARTS:
        return None
    accuracies = [fmean(values(part, "accuracy")) for part in _parts(records)]
    low = sum(accuracy < _LOW for accuracy in accuracies) / _PARTS
    high = sum(accuracy > _HIGH for accuracy in accuracies) / _PARTS
    sides = [accuracy > _HIGH for accuracy in accuracies if not _LOW <= accuracy <= _HIGH]
    turns = sum(before != after for before, after in pairwise(sides))
    swings = min(at_least(low, _SHARE), at_least(high, _SHARE), at_least(turns, _TURNS))
    times = median(values(records, "discriminator")) / facts.guess if facts.guess is not None else 0.0
    first = int(records[0]["step"])
    advice = f"Hold the discriminator with {hold(facts)}, or slow both players with a lower trainer.lr."
    if swings >= at_least(times, _WORSE):
        evidence = (
            f"since step {first} the discriminator's accuracy has gone between {min(accuracies):.0%} and "
            f"{max(accuracies):.0%} and turned {turns} times: the players overtake each other instead of meeting."
        )
        return Reading(swings, evidence, advice)
    return Reading(
        at_least(times, _WORSE),
        f"since step {first} the discriminator's loss has been {times:.1f} times that of a guess: between two of its "
        "moves the generator gets past it, again and again.",
        advice,
    )


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    borders = [number * len(records) // _PARTS for number in range(_PARTS + 1)]
    return (records[start:end] for start, end in pairwise(borders))


def divergence(history: History, facts: Facts) -> Reading | None:
    """Whether a loss or a gradient grows far beyond what it was in the first fifth of the steps."""
    border = _EARLY * facts.steps
    early = [record for record in history.train if record["step"] <= border]
    late = [record for record in history.train[-2 * _WIDTH :] if record["step"] > border]
    found = [
        reading
        for name in (generator_terms(late[-1]) if late else [])
        + ["discriminator", "gradient_generators", "gradient_discriminators"]
        if (reading := _grown(name, early, late, facts)) is not None
    ]
    return max(found, key=lambda reading: reading.level, default=None)


def _grown(name: str, early: list[Record], late: list[Record], facts: Facts) -> Reading | None:
    before = smooth([abs(value) for value in values(early, name)], _WIDTH)
    after = smooth([abs(value) for value in values(late, name)], _WIDTH)
    if not before or len(after) <= _WIDTH:
        return None
    scale = _scale(name, facts)
    most, now = max(*before, scale, 1e-12), after[-1]
    times = _ADVERSARIAL if name == "adversarial" else _GROWN
    grown = now / most
    what = f"the {name[len('gradient_') :]}' gradient" if name.startswith("gradient_") else f"the loss {name}"
    return Reading(
        min(at_least(grown, times), at_least(now, max(after[-1 - _WIDTH], 1e-12))),  # and goes on to grow
        f"{what} is {now:.3g}, {grown:.0f} times what it ever was in the first fifth of the steps, and grows.",
        f"Lower trainer.lr, or hold the discriminator with {hold(facts)}; the best weights so far are kept.",
    )


def _scale(name: str, facts: Facts) -> float:
    """A size that is usual however small it was early; 0: there is none."""
    if name.startswith("gradient_"):
        return _SLOPE
    if name not in ("discriminator", "adversarial"):
        return 0.0
    return float(facts.discriminators) if facts.guess is None else facts.guess
