"""Generators that always make the same, or that get worse without their losses showing it."""

from __future__ import annotations

import math
from itertools import pairwise, takewhile
from statistics import median
from typing import Final

from i2i.training.diagnosis.history import (
    Facts,
    History,
    Reading,
    at_least,
    at_most,
    generator_loss,
    hold,
    smooth,
    values,
)

_BEGUN: Final = 0.2  # share of the steps before which nothing is expected
_LOOKS: Final = 4
_GROWING: Final = 1.1  # times from the first of these to the last: a generator that is on its way
_LEAST: Final = {"diversity": 0.35, "diversity_class": 0.3, "coverage": 0.45}
_LOST: Final = 0.5  # of what the metric had gained
_CLEAR: Final = 6.0  # times the metric's own noise
_LONG: Final = 0.5  # share of the steps, up to the last one, over which so much was lost
_STANDS: Final = 0.1  # of its size that a loss may have become worse by


def collapses(history: History, facts: Facts) -> Reading | None:
    """Whether made images are nearly all alike, or leave out classes, at several looks in a row, and remain so."""
    if history.step < _BEGUN * facts.steps:
        return None
    readings = []
    for name, least in _LEAST.items():
        if looks := history.last_looks(_LOOKS, name):
            seen = looks[name]
            level = min(at_most(max(seen), least), at_most(seen[-1], _GROWING * seen[0]))
            readings.append(Reading(level, _alike(name, max(seen), history), _vary(facts)))
    return max(readings, key=lambda reading: reading.level, default=None)


def _vary(facts: Facts) -> str:
    return (
        f"Steady the discriminator with {hold(facts)}, lower trainer.lr, or take a larger trainer.batch; where there "
        "are inputs, give more weight to the terms that compare with them."
    )


def _alike(name: str, now: float, history: History) -> str:
    if name == "coverage":
        return f"of the classes of real images what is made looks like {now:.0%}: the generator leaves the others out."
    within = " of one class" if name == "diversity_class" else ""
    inputs = values(history.looks[-1:], "diversity_inputs")
    beside = f", and {inputs[0]:.2f} times as much as their inputs" if inputs and not within else ""
    return f"two made images{within} differ {now:.2f} times as much as two real ones{beside}: all become the same."


def say_nothing(history: History, facts: Facts) -> Reading | None:
    """Whether the metric has long been worse than it was while what the generators minimise stands or falls.

    The metric's noise is told by second differences, which a steady change is no part of: of values with a deviation
    of s their median size is 1.65 s. A game without discriminators has a loss that says what it is about.
    """
    known = [record for record in history.scores if values([record], facts.metric)]
    sign = 1 if facts.higher_is_better else -1
    scores = [sign * value for value in values(known, facts.metric)]
    smoothed = smooth(scores, 3)
    if len(smoothed) < 2 or not facts.discriminators:
        return None
    place = max(range(len(smoothed)), key=smoothed.__getitem__)
    gained, lost = smoothed[place] - min(scores[: place + 2]), smoothed[place] - smoothed[-1]
    below = [smoothed[place] - score >= _LOST * gained for score in smoothed[place + 1 :]]
    steps = [int(record["step"]) for record in known]
    during = steps[-1] - steps[-1 - sum(1 for _ in takewhile(bool, reversed(below)))]
    changes = [after - before for before, after in pairwise(scores)]
    noise = median(abs(after - before) for before, after in pairwise(changes)) / 1.65
    # The same stretch of training for both: that of three scores.
    then = generator_loss([each for each in history.train if steps[place] < each["step"] <= steps[place + 2]])
    now = generator_loss([each for each in history.train if each["step"] > steps[-3]])
    if math.isnan(then) or math.isnan(now):
        return None
    best = max(range(len(scores)), key=scores.__getitem__)
    return Reading(
        min(
            _times(lost, _LOST * gained),
            _times(lost, _CLEAR * noise),
            at_least(during / facts.steps, _LONG),
            at_most(now - then, _STANDS * abs(then)),
        ),
        f"{facts.metric} was {sign * scores[best]:.4g} at step {steps[best]} and is about {sign * smoothed[-1]:.4g}, "
        f"while what the generators minimise went from {then:.4g} to {now:.4g}: the losses do not show it.",
        f"Go by {facts.metric}: the weights of step {steps[best]} are kept, and are what is exported. Fewer "
        "trainer.steps or a lower trainer.lr save the time after it.",
    )


def _times(lost: float, border: float) -> float:
    if lost <= 0:
        return 0.0
    return lost / border if border > 0 else math.inf
