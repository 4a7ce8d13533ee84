"""The parts of a protocol: each takes in images, and gives the statistics of one metric or of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from i2i.metrics.metric import to_levels
from i2i.metrics.sets import Rows
from i2i.metrics.statistic import Mean, Statistic, Values


class Named(NamedTuple):
    """A statistic, and the full name of what it is a figure of."""

    key: str
    statistic: Statistic


class Measure(ABC):
    """Takes in images as deployed, rounded to 255ths.

    least: of fewer images there are no figures.
    """

    least: int = 1

    @abstractmethod
    def another(self) -> Measure:
        """The same measure with nothing taken in."""

    @abstractmethod
    def add(self, output: Tensor, target: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Takes in what was made of a batch and what was wanted, `[N, C, H, W]` in [-1, 1]."""

    @abstractmethod
    def take(self) -> dict[str, Named]:
        """The statistics of all that was taken in since the last call, by short name."""

    def nearest(self) -> Values | None:
        """How far each output of the last `take` is from the nearest target, `[N]`, if this is a measure of that."""
        return None


Scoring = Callable[[Tensor, Tensor], Tensor]
"""From outputs and targets `[N, C, H, W]` in [0, 255] to the scores `[N]`."""


@final
class PerImage(Measure):
    """Scores of each output against its own target.

    scores: by short name, the name with its protocol and what scores.
    """

    def __init__(self, scores: Mapping[str, tuple[str, Scoring]]) -> None:
        self._scores = scores
        self._found: dict[str, list[Tensor]] = {name: [] for name in scores}

    def another(self) -> PerImage:
        """The same measure with nothing taken in."""
        return PerImage(self._scores)

    def add(self, output: Tensor, target: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Scores the images of a batch."""
        del batch
        output, target = to_levels(output), to_levels(target)
        for name, (_, score) in self._scores.items():
            self._found[name].append(score(output, target).double().cpu())

    def take(self) -> dict[str, Named]:
        """The means; begins anew."""
        each = {name: np.asarray(torch.cat(values).numpy(), np.float64) for name, values in self._found.items()}
        self._found = {name: [] for name in self._scores}
        return {name: Named(f"{self._scores[name][0]}-n{len(values)}", Mean(values)) for name, values in each.items()}


class _Gathered:
    """Rows of images that come in batches."""

    def __init__(self) -> None:
        self._features: list[Tensor] = []
        self._of: list[Tensor] = []
        self._images = 0

    def add(self, features: Tensor, images: int) -> None:
        """Takes the rows of so many images, as many for each."""
        numbers = torch.arange(self._images, self._images + images)
        self._features.append(features)
        self._of.append(numbers.repeat_interleave(len(features) // images))
        self._images += images

    def rows(self) -> Rows:
        """All of them."""
        return Rows(torch.cat(self._features), torch.cat(self._of))


class SetMeasure(Measure):
    """Of all outputs against all targets. The targets of the first pass are kept: one object is for one split."""

    def __init__(self) -> None:
        self._made, self._real = _Gathered(), _Gathered()
        self._known: Rows | None = None

    @abstractmethod
    def _see(self, images: Tensor) -> Tensor:
        """What is kept of images `[N, C, H, W]` in [-1, 1], on the CPU: `[N * R, D]`, R rows for each image."""

    @abstractmethod
    def _statistics(self, made: Rows, real: Rows) -> dict[str, Named]:
        """The statistics of all that was kept."""

    def add(self, output: Tensor, target: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Takes what is kept of the images of a batch."""
        del batch
        self._made.add(self._see(output), len(output))
        if self._known is None:
            self._real.add(self._see(target), len(target))

    def take(self) -> dict[str, Named]:
        """The statistics; begins anew, but for the targets."""
        made, self._made = self._made.rows(), _Gathered()
        if self._known is None:
            self._known, self._real = self._real.rows(), _Gathered()
        return self._statistics(made, self._known)


def counted(key: str, made: Rows, real: Rows) -> str:
    """The full name of a figure with its number of images, of both sets where these are not as many."""
    return f"{key}-n{made.images}" + ("" if made.images == real.images else f"-of-{real.images}")
