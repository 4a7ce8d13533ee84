"""What is wrong with a game, in words: found in the records of `metrics.jsonl` alone, and said once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from i2i.training.diagnosis.discriminators import overfits, wins
from i2i.training.diagnosis.history import Facts, History, Reading, Record
from i2i.training.diagnosis.losses import divergence, oscillation
from i2i.training.diagnosis.outputs import collapses, say_nothing

__all__ = ["DETECTORS", "FIRST", "Diagnosis", "Diagnostics", "Facts", "diagnose"]

Detector = Callable[[History, Facts], Reading | None]

DETECTORS: Final[Mapping[str, Detector]] = {
    "discriminator_wins": wins,
    "discriminator_overfits": overfits,
    "oscillation": oscillation,
    "divergence": divergence,
    "mode_collapse": collapses,
    "losses_say_nothing": say_nothing,
}
"""Each gives None where there is too little to tell."""


FIRST: Final = 200
"""Steps before which no game is judged: every one begins far from where its players keep up with each other."""


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong with a game, at which step that was found, the figures that show it, and what helps."""

    name: str
    step: int
    evidence: str
    advice: str

    def __str__(self) -> str:
        return f"{self.name.replace('_', ' ')}, found at step {self.step}: {self.evidence} {self.advice}"


class Diagnostics:
    """Reads the records of a run one after the other, and says of each thing that goes wrong once that it does.

    found: all of that, by name, in the order in which it was found. levels: how near each failure has come at most; 1
    is there. Both follow from the records alone, so that replaying them brings back where it was.
    """

    def __init__(self, facts: Facts) -> None:
        self.found: dict[str, Diagnosis] = {}
        self.levels: dict[str, float] = {}
        self._facts = facts
        self._history = History()

    def add(self, record: Record) -> list[Diagnosis]:
        """Takes in the next record, with its `step` and `kind`; returns what is wrong now and was not before."""
        if not self._history.add(record) or record["step"] < FIRST:
            return []
        new = []
        for name, detector in DETECTORS.items():
            if (reading := detector(self._history, self._facts)) is None:
                continue
            self.levels[name] = max(reading.level, self.levels.get(name, 0.0))
            if reading.level >= 1 and name not in self.found:
                self.found[name] = Diagnosis(name, int(record["step"]), reading.evidence, reading.advice)
                new.append(self.found[name])
        return new


def diagnose(history: Iterable[Record], facts: Facts) -> list[Diagnosis]:
    """All that is wrong with a run, from the records of its `metrics.jsonl`, in the order in which it was found."""
    watch = Diagnostics(facts)
    for record in history:
        watch.add(record)
    return list(watch.found.values())
