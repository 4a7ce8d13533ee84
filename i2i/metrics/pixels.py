"""Sets of images by their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from i2i.errors import I2IError
from i2i.metrics.deviation import Deviation
from i2i.metrics.measure import Named, SetMeasure, counted
from i2i.metrics.metric import to_levels
from i2i.metrics.parzen import Parzen
from i2i.metrics.sets import Rows, TwoSets
from i2i.metrics.statistic import Statistic


@final
class Pixels(SetMeasure):
    """`deviation` and `parzen`: what tells of collapse, and how well outputs explain targets; of images of one size.

    A byte is kept for each number of an image. Where batches have labels, deviation is within classes.
    """

    def __init__(self, names: Sequence[str], *, paired: bool) -> None:
        super().__init__()
        self._names, self._paired = names, paired
        self._labels: list[Tensor] = []
        self._shape: torch.Size | None = None
        self.least = 4 if "parzen" in names else 2  # half of them choose the width of the window

    def another(self) -> Pixels:
        """The same measure with nothing taken in."""
        return Pixels(self._names, paired=self._paired)

    def add(self, output: Tensor, target: Tensor, batch: Mapping[str, Tensor]) -> None:
        """Takes pixels and labels of a batch."""
        super().add(output, target, batch)
        if "label" in batch:
            self._labels.append(batch["label"].cpu())

    def _see(self, images: Tensor) -> Tensor:
        shape = images.shape[1:]
        if self._shape is not None and shape != self._shape:
            raise I2IError(
                f"{' and '.join(self._names)}: images of {list(self._shape)} and of {list(shape)} (channels, height, "
                "width) cannot be compared pixel by pixel",
                "Give images of one size, or leave this metric out.",
            )
        self._shape = shape
        return to_levels(images).to(torch.uint8).flatten(1).cpu()

    def _statistics(self, made: Rows, real: Rows) -> dict[str, Named]:
        labels = torch.cat(self._labels) if self._labels else None
        self._labels = []
        sets = TwoSets(made, real, self._paired)
        found: dict[str, Named] = {}
        for name in self._names:
            statistic: Statistic = Deviation(sets, labels) if name == "deviation" else Parzen(sets)
            within = "-within-classes" if name == "deviation" and labels is not None else ""
            found[name] = Named(counted(f"{name}-pixels{within}", made, real), statistic)
        return found
