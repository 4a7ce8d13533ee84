"""What the detectors look at: the records of a run so far, and what has to be known to read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Final

from i2i.config import RunConfig
from i2i.games.penalties import PENALTIES

Record = Mapping[str, Any]

_GUESS: Final = {
    "minimax": 2 * math.log(2),
    "nonsaturating": 2 * math.log(2),
    "lsgan": 0.25,
    "hinge": 2.0,
    "relativistic": math.log(2),
}
"""What one discriminator minimises where it cannot tell real from fake; of wasserstein there is no such number."""
_BESIDE: Final = frozenset(
    {"step", "kind", "lr", "images_per_second", "accuracy", "signs", "augment", "discriminator", *PENALTIES}
)


@dataclass(frozen=True)
class Facts:
    """What has to be known of a run to read its curves.

    discriminators: how many play. metric: the one that names the best checkpoint. The rest is what has been done for
    stability: r1 is the weight of that penalty.
    """

    steps: int
    objective: str
    discriminators: int
    metric: str
    higher_is_better: bool
    smoothing: float = 0.0
    instance_noise: float = 0.0
    r1: float = 0.0
    spectral: bool = False
    augmented: bool = False

    @classmethod
    def of(cls, config: RunConfig, discriminators: int, metric: str, higher_is_better: bool) -> Facts:
        """Those of a run of `config`."""
        augment = config.stability.augment
        return cls(
            steps=config.trainer.steps,
            objective=config.objective.name,
            discriminators=discriminators,
            metric=metric,
            higher_is_better=higher_is_better,
            smoothing=config.stability.smoothing,
            instance_noise=config.stability.instance_noise,
            r1=config.objective.r1.weight,
            spectral=config.stability.spectral,
            augmented=augment.colour or augment.translation or augment.cutout,
        )

    @property
    def guess(self) -> float | None:
        """The discriminators' loss where they guess; None where the objective has no such number."""
        one = _GUESS.get(self.objective)
        return None if one is None or not self.discriminators else one * self.discriminators

    @property
    def least(self) -> float:
        """The discriminators' loss where nothing is left to learn: above 0 for smoothed labels of a logistic one."""
        share = self.smoothing
        if share == 0 or self.objective not in ("minimax", "nonsaturating"):
            return 0.0
        return -((1 - share) * math.log(1 - share) + share * math.log(share)) * self.discriminators


@dataclass(frozen=True)
class Reading:
    """How near a game is to one failure: from a `level` of 1 on it is there.

    evidence: a sentence with the figures; advice: one that names the option that usually helps.
    """

    level: float
    evidence: str
    advice: str


class History:
    """The records so far by kind, each in the order of the steps."""

    def __init__(self) -> None:
        self.train: list[Record] = []
        self.scores: list[Record] = []
        self.looks: list[Record] = []

    def add(self, record: Record) -> bool:
        """Takes in a record; whether it is one after which it is worth looking."""
        kind = str(record["kind"])
        match kind:
            case "train":
                self.train.append(record)
            case "validation":
                self.scores.append(record)
            case "signs":
                self.looks.append(record)
            case _:
                return False
        return kind != "train"

    @property
    def step(self) -> int:
        """The last step of which anything is known."""
        return max((int(kind[-1]["step"]) for kind in (self.train, self.scores, self.looks) if kind), default=0)

    def latest(self, span: float) -> list[Record]:
        """The training records of the last `span` steps; none where there have not been so many."""
        first = self.step - span
        return [] if first < 0 else [record for record in self.train if record["step"] > first]

    def last_looks(self, number: int, *names: str) -> dict[str, list[float]]:
        """The last `number` values of each of `names`; empty where there are not so many."""
        found = {name: values(self.looks[-number:], name) for name in names}
        return found if all(len(each) == number for each in found.values()) else {}


def values(records: Iterable[Record], name: str) -> list[float]:
    """The figures of that name that are numbers."""
    found = (record.get(name) for record in records)
    return [float(value) for value in found if value is not None and math.isfinite(value)]


def generator_terms(record: Record) -> list[str]:
    """The names of what the generators minimise."""
    return [name for name in record if name not in _BESIDE and not name.startswith("gradient_")]


def generator_loss(records: Sequence[Record]) -> float:
    """The mean of all that the generators minimise, added up."""
    sums = [sum(float(record[name]) for name in generator_terms(record)) for record in records]
    return fmean(sums) if sums else math.nan


def hold(facts: Facts) -> str:
    """What bounds the slope of a discriminator and is not in use yet, or more of it."""
    first = f"objective.r1.weight={10 * facts.r1 if facts.r1 else 1:g}"
    return first if facts.spectral else f"{first} or stability.spectral=true"


def smooth(series: Sequence[float], width: int) -> list[float]:
    """The medians of `width` neighbours; shorter by `width` - 1."""
    return [median(series[start : start + width]) for start in range(len(series) - width + 1)]


def at_least(value: float, border: float) -> float:
    """1 where `value` reaches `border`, above 0, less where it does not."""
    return max(0.0, value / border)


def at_most(value: float, border: float) -> float:
    """1 where `value` has come down to `border`, above 0, less where it has not."""
    return math.inf if value <= 0 else border / value
