"""Figures of many steps on their way to a line of the curves."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping

from torch import Tensor


class Tally:
    """Means since they were last taken, and how long that is ago."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()
        self._since = time.perf_counter()
        self.steps = 0

    def add(self, figures: Mapping[str, Tensor]) -> None:
        """Adds up where the figures are: they are only read for a line of the curves."""
        for name, figure in figures.items():
            self._sums[name] = self._sums[name] + figure if name in self._sums else figure
        self._counts.update(figures.keys())
        self.steps += 1

    def take(self) -> tuple[dict[str, float], float]:
        """The means and the steps a second since the last call."""
        seconds = time.perf_counter() - self._since
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        speed = self.steps / seconds
        self._sums, self._counts, self.steps = {}, Counter(), 0
        self.rest()
        return means, speed

    def rest(self) -> None:
        """The time until now was spent on other things than steps."""
        self._since = time.perf_counter()
