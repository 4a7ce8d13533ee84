"""How much images differ from each other: what a generator that has collapsed gives away."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from i2i.metrics.sets import TwoSets
from i2i.metrics.statistic import Jackknifed, Values

_COLUMNS: Final = 1024


def deviation(images: Tensor, labels: Tensor | None = None) -> float:
    """The standard deviation of a pixel over the images `[N, ...]`, as the mean over pixels.

    With labels `[N]` it is taken within each class and then as the mean over the classes that have two images or more:
    a generator that makes one image of each class has 0, however much the classes differ.
    """
    groups = [images] if labels is None else [images[labels == label] for label in sorted(set(labels.tolist()))]
    spreads = [_spread(group.flatten(1)) for group in groups if len(group) > 1]
    return sum(spreads) / len(spreads) if spreads else 0.0


def _spread(pixels: Tensor) -> float:
    """In parts: as float64, bytes take eight times the memory."""
    parts = [part.double().std(dim=0, correction=0).sum() for part in torch.split(pixels, _COLUMNS, dim=1)]
    return float(torch.stack(parts).sum()) / pixels.shape[1]


@final
class Deviation(Jackknifed):
    """The deviation of what was made over that of what is real; 0 where what is real does not differ.

    labels: of the images of both, which then are as many.
    """

    def __init__(self, sets: TwoSets, labels: Tensor | None = None) -> None:
        self._sets, self._labels = sets, labels

    def value(self) -> float:
        """The ratio."""
        everything = slice(None)
        return self._ratio(everything, everything)

    def resampled(self, draws: int, seed: int) -> Values:
        """The ratio, and that of each half of the images."""
        del draws
        return np.array(
            [self.value(), *(self._ratio(made, real) for made, real in self._sets.halves(self.splits, seed))]
        )

    def _ratio(self, made: Tensor | slice, real: Tensor | slice) -> float:
        labels = self._labels
        of_made, of_real = (None, None) if labels is None else (labels[made], labels[real])
        spread = deviation(self._sets.real.features[real], of_real)
        return deviation(self._sets.made.features[made], of_made) / spread if spread else 0.0
