"""Two sets of images by their features, of which each statistic of sets is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from i2i.metrics.statistic import Values, halves, repeats


@dataclass(frozen=True)
class Rows:
    """Features `[R, D]`, and for each row the number `[R]` of the image that it is of; most images have one row."""

    features: Tensor
    of: Tensor

    @staticmethod
    def one_each(features: Tensor) -> Rows:
        """A row for each image."""
        return Rows(features, torch.arange(len(features)))

    @property
    def images(self) -> int:
        """How many images."""
        return int(self.of.max()) + 1


@dataclass(frozen=True)
class TwoSets:
    """What was made and what is real.

    paired: image i of the one belongs to image i of the other, so that both are drawn, or left out, together.
    """

    made: Rows
    real: Rows
    paired: bool = False

    @property
    def images(self) -> int:
        """How many images are in the smaller set."""
        return min(self.made.images, self.real.images)

    def repeats(self, draws: int, seed: int) -> tuple[Values, Values]:
        """How often each row of `made` and of `real` is in each draw, `[1 + draws, R]`; in the first one once."""
        made, real = (
            repeats(rows.images, draws, seed, 0 if self.paired else stream)[:, rows.of.numpy()]
            for stream, rows in enumerate((self.made, self.real))
        )
        return made, real

    def halves(self, splits: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Which rows of `made` and of `real`, `[R]`, lie in the one half and then in the other, of each split.

        None, where a set has but one image.
        """
        if self.images < 2:
            return
        made, real = (
            torch.from_numpy(halves(rows.images, splits, seed, 0 if self.paired else stream))[:, rows.of]
            for stream, rows in enumerate((self.made, self.real))
        )
        for one, other in zip(made, real, strict=True):
            yield one, other
            yield ~one, ~other


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """Squared distances of rows `[N, D]` and `[M, D]`, `[N, M]` in float64, never below 0."""
    one, other = one.double(), other.double()
    squares = one.square().sum(1)[:, None] + other.square().sum(1) - 2 * one @ other.T
    return squares.clamp_(min=0)


def nearest(rows: Tensor, others: Tensor, chunk: int = 1024) -> Values:
    """The distance of each of the rows `[N, D]` to the nearest of the others `[M, D]`, `[N]`."""
    found = [squared_distances(part, others).amin(1).sqrt() for part in torch.split(rows, chunk)]
    return np.asarray(torch.cat(found).numpy(), dtype=np.float64)
