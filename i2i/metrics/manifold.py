"""Precision and recall: how much of one set of images lies among the images of the other."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from i2i.metrics.sets import TwoSets, squared_distances
from i2i.metrics.statistic import Jackknifed, Values

NEIGHBOURS: Final = 3
_CHUNK: Final = 512  # rows of a matrix of distances that are in memory at a time


def covered(points: Tensor, manifold: Tensor, neighbours: int = NEIGHBOURS) -> float:
    """The share of the points `[N, D]` that lie in the manifold of `[M, D]`, M more than `neighbours`.

    The manifold is a ball around each of its points, as far as to the k-th nearest of the others. Kynkaanniemi et al.
    2019, arXiv:1904.06991, eq. 1 and 2; k is 3 there. Precision asks it of outputs among targets, recall the reverse.
    """
    kept, there = (torch.ones(1, len(each), dtype=torch.bool) for each in (points, manifold))
    return float(_shares(points, manifold, kept, there, neighbours)[0])


def _shares(points: Tensor, manifold: Tensor, kept: Tensor, there: Tensor, neighbours: int) -> Tensor:
    """`covered` of subsets, `[S]`: which points are `kept`, `[S, N]`, and which are `there`, `[S, M]`."""
    reach = torch.cat([_reach(part, manifold, there, neighbours) for part in torch.split(manifold, _CHUNK)], 1)
    reach[~there] = -1  # nothing lies in the ball of what is not there
    inside = torch.cat(
        [
            torch.stack([(squared <= one).any(1) for one in reach], 0)
            for squared in (squared_distances(part, manifold) for part in torch.split(points, _CHUNK))
        ],
        1,
    )
    return (inside & kept).sum(1).double() / kept.sum(1)


def _reach(part: Tensor, manifold: Tensor, there: Tensor, neighbours: int) -> Tensor:
    """The squared radius of each ball, `[S, R]`."""
    squared = squared_distances(part, manifold)
    # One more than k: the nearest of all is the point itself.
    return torch.stack(
        [squared[:, some].topk(min(neighbours + 1, int(some.sum())), largest=False).values[:, -1] for some in there]
    )


@final
class Covered(Jackknifed):
    """`covered` of two sets of features: precision, or recall if `reverse`."""

    def __init__(self, sets: TwoSets, *, reverse: bool = False) -> None:
        self._sets, self._reverse = sets, reverse

    def value(self) -> float:
        """The share."""
        return covered(*self._both())

    def resampled(self, draws: int, seed: int) -> Values:
        """The share, and that of each half of the images."""
        del draws
        everything = tuple(torch.ones(len(rows.of), dtype=torch.bool) for rows in (self._sets.made, self._sets.real))
        subsets = [everything, *self._sets.halves(self.splits, seed)]
        made, real = (torch.stack(each) for each in zip(*subsets, strict=True))
        kept, there = (real, made) if self._reverse else (made, real)
        points, manifold = self._both()
        found = _shares(points, manifold, kept, there, NEIGHBOURS)
        return np.asarray(found.numpy(), np.float64)

    def _both(self) -> tuple[Tensor, Tensor]:
        made, real = self._sets.made.features, self._sets.real.features
        return (real, made) if self._reverse else (made, real)
