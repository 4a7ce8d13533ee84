"""Parzen log-likelihood: how well a window around each generated image explains real ones."""

from __future__ import annotations

import math
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from i2i.metrics.sets import TwoSets, squared_distances
from i2i.metrics.statistic import Jackknifed, Values

WIDTHS = torch.logspace(-1, 0, 10).tolist()  # of the window, for pixels in [0, 1]
_CHUNK: Final = 512  # real images whose distances are in memory at a time


def log_likelihood(squared: Tensor, dimensions: int, width: float) -> Tensor:
    """log p(x) in nats, `[M]`, of each of M points under a Gaussian of `width` around each of N others.

    squared: their squared distances, `[M, N]`, in a space of so many `dimensions`. Goodfellow et al. 2014,
    arXiv:1406.2661, section 5, after Breuleux et al. 2011.
    """
    normaliser = math.log(squared.shape[1]) + dimensions / 2 * math.log(2 * math.pi * width**2)
    return torch.logsumexp(-squared / (2 * width**2), dim=1) - normaliser


def parzen(made: Tensor, real: Tensor) -> float:
    """The mean log-likelihood in nats of one half of `real` `[M, D]`, under the window that suits the other half best.

    Pixels in [0, 1]; the halves are the images of even and of odd number, M at least 2. It depends on the number of
    generated images `made` `[N, D]`, 10,000 in the paper: values compare only where that is the same.
    """
    even = torch.arange(len(real)) % 2 == 0
    return _chosen(made, real[even], real[~even])


def _chosen(made: Tensor, choosing: Tensor, reporting: Tensor) -> float:
    chosen, reported = (_by_width(made, half) for half in (choosing, reporting))
    return float(reported[int(chosen.argmax())])


def _by_width(made: Tensor, real: Tensor) -> Tensor:
    """The mean log-likelihood for each of `WIDTHS`, `[WIDTHS]`."""
    totals = torch.zeros(len(WIDTHS), dtype=torch.float64)
    for part in torch.split(real, _CHUNK):
        squared = squared_distances(part, made)
        totals += torch.stack([log_likelihood(squared, made.shape[1], width).sum() for width in WIDTHS])
    return totals / len(real)


@final
class Parzen(Jackknifed):
    """`parzen` of two sets of images as bytes."""

    def __init__(self, sets: TwoSets) -> None:
        self._sets = sets

    def value(self) -> float:
        """The log-likelihood."""
        return parzen(*self._pixels())

    def resampled(self, draws: int, seed: int) -> Values:
        """The log-likelihood, and that of each half of the images, for which the width is chosen anew."""
        del draws
        made, real = self._pixels()
        even = torch.arange(len(real)) % 2 == 0
        found = [parzen(made, real)]
        for some, there in self._sets.halves(self.splits, seed):
            found.append(_chosen(made[some], real[there & even], real[there & ~even]))
        return np.array(found)

    def _pixels(self) -> tuple[Tensor, Tensor]:
        return self._sets.made.features.float() / 255, self._sets.real.features.float() / 255
