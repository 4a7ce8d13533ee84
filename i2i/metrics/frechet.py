"""The Frechet distance between two sets of images by their features."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from torch import Tensor

from i2i.metrics.sets import TwoSets
from i2i.metrics.statistic import Jackknifed, Values


def frechet_distance(made: Tensor, real: Tensor) -> float:
    """The squared Frechet distance of Gaussians fitted to features `[N, D]` and `[M, D]`, N and M at least 2.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), covariances with N - 1: Heusel et al. 2017, arXiv:1706.08500, eq. 6.
    It is too large by what grows with D / N: values compare only where the sets are as large, 50,000 in most papers.
    """
    made, real = made.double(), real.double()
    middle = (made.mean(0) - real.mean(0)).square().sum()
    one, other = _root(made), _root(real)
    # tr (A'A B'B)^(1/2) is the sum of the singular values of A B': nothing is inverted, and no root is complex.
    shared = torch.linalg.svdvals(one @ other.T).sum()
    return float(middle + one.square().sum() + other.square().sum() - 2 * shared)


def _root(features: Tensor) -> Tensor:
    """R, of D rows at most, such that R'R is the covariance of the features."""
    centred: Tensor = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    if len(centred) <= centred.shape[1]:
        return centred
    triangle: Tensor = torch.linalg.qr(centred, mode="r").R
    return triangle


@final
class Frechet(Jackknifed):
    """`frechet_distance` of two sets of features.

    It is computed for each of ten pairs of halves: a minute or two for thousands of images.
    """

    splits = 10

    def __init__(self, sets: TwoSets) -> None:
        self._sets = sets

    def value(self) -> float:
        """The distance."""
        return frechet_distance(self._sets.made.features, self._sets.real.features)

    def resampled(self, draws: int, seed: int) -> Values:
        """The distance, and that of each half of the images."""
        del draws
        one, other = self._sets.made.features, self._sets.real.features
        return np.array(
            [
                self.value(),
                *(frechet_distance(one[made], other[real]) for made, real in self._sets.halves(self.splits, seed)),
            ]
        )
