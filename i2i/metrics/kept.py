"""What is kept of a set of outputs: enough for each score, its interval, and its difference to another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from i2i.metrics.statistic import Score, Statistic, Values

__all__ = ["NEAREST", "Kept", "Score", "differences"]

NEAREST: Final = "nearest_efficientnet"


@dataclass(frozen=True)
class Kept:
    """What is known of one set of outputs: enough for every score of any resampling of its images.

    count: images. keys: the full name of each metric with its protocol (features, resize, sample count), by its short
    name. each: per-image values `[N]`, of the metrics that have them; where none has, images can be ordered by
    `NEAREST`: the distance of an output's features to those of the nearest target, which is no score.
    """

    count: int
    keys: Mapping[str, str]
    each: Mapping[str, Values]
    statistics: Mapping[str, Statistic] = field(repr=False)
    _drawn: dict[tuple[str, int, int], Values] = field(default_factory=dict, init=False, repr=False, compare=False)

    def values(self) -> dict[str, float]:
        """The scores, by short name, in the protocol's order."""
        return {name: statistic.value() for name, statistic in self.statistics.items()}

    def scored(self, draws: int = 1000, seed: int = 0) -> dict[str, Score]:
        """The scores with their 95 % intervals over images, by bootstrap or, where that misleads, by jackknife.

        Which of them is said by the class of each of `statistics`.
        """
        return {
            name: statistic.bounded(self.resampled(name, draws, seed)) for name, statistic in self.statistics.items()
        }

    def resampled(self, name: str, draws: int, seed: int) -> Values:
        """What the metric's `Statistic.resampled` gives; it is kept, as differences need it again."""
        asked = name, draws, seed
        if asked not in self._drawn:
            self._drawn[asked] = self.statistics[name].resampled(draws, seed)
        return self._drawn[asked]


def differences(one: Kept, other: Kept, draws: int = 1000, seed: int = 0) -> dict[str, Score]:
    """The scores of `other` minus those of `one`, of metrics that both have, over the same images in the same order.

    The intervals are of the differences: both are resampled together. Raises ValueError where the images or the
    targets are not as many, or a metric's protocol is another.
    """
    if one.count != other.count:
        raise ValueError(f"{one.count} images and {other.count}: only the same ones can be compared in pairs")
    found = {}
    for name in (name for name in one.statistics if name in other.statistics):
        if one.keys[name] != other.keys[name]:
            raise ValueError(f"{one.keys[name]} and {other.keys[name]} are not the same figure")
        apart = other.resampled(name, draws, seed) - one.resampled(name, draws, seed)
        found[name] = other.statistics[name].bounded(apart)
    return found
