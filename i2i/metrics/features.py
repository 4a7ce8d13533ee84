"""Sets of images by what a network sees in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn

from i2i.metrics.catalogue import KID
from i2i.metrics.measure import Named, SetMeasure, counted
from i2i.metrics.metric import to_levels
from i2i.metrics.sets import Rows, TwoSets, nearest
from i2i.metrics.statistic import Statistic, Values
from i2i.nn.features import SMALLEST, efficientnet_lite0

TILE: Final = 96  # pixels


@dataclass
class Looking:
    """A network that images are seen through.

    network: from images `[N, C, H, W]` in [-1, 1] to features `[N, D]`. name: of it, in keys. smallest: pixels to which
    the shorter side of smaller images is enlarged; None: all images become of one size, and `name` says so.
    """

    network: nn.Module
    name: str
    smallest: int | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """The features of images as deployed, on the CPU."""
        self.network = self.network.to(images.device)
        with torch.no_grad():
            features: Tensor = self.network(to_levels(images) / 127.5 - 1)
        return features.cpu()


def through_efficientnet() -> Looking:
    """The network that comes in a package; raises TrainingError where that is not installed."""
    return Looking(efficientnet_lite0(), "efficientnet-lite0", SMALLEST)


@final
class Features(SetMeasure):
    """Statistics of what a network sees in outputs and in targets.

    statistics: by short name, the metric's name in keys and what makes its statistic of two sets of features.
    paired: output i is of target i. tiled: squares of `TILE` pixels are seen, and not the whole images.
    """

    def __init__(
        self,
        looking: Looking,
        statistics: Mapping[str, tuple[str, Callable[[TwoSets], Statistic]]],
        *,
        paired: bool,
        tiled: bool = False,
        least: int = 2,
    ) -> None:
        super().__init__()
        self._looking, self._wanted, self._paired, self._tiled = looking, statistics, paired, tiled
        self.least = 1 if tiled else least  # an image is many tiles
        self._smallest = 0
        self._last: TwoSets | None = None

    def another(self) -> Features:
        """The same measure with nothing taken in, and the same network to look through."""
        return Features(self._looking, self._wanted, paired=self._paired, tiled=self._tiled, least=self.least)

    def nearest(self) -> Values | None:
        """Of whole images that `kid_efficientnet` compares."""
        if self._last is None or self._tiled or KID not in self._wanted:
            return None
        return nearest(self._last.made.features, self._last.real.features)

    def _see(self, images: Tensor) -> Tensor:
        seen = tiles(images) if self._tiled else images
        shorter = min(seen.shape[2:])
        self._smallest = min(self._smallest, shorter) if self._smallest else shorter
        return self._looking(seen)

    def _statistics(self, made: Rows, real: Rows) -> dict[str, Named]:
        self._last = TwoSets(made, real, self._paired)
        parts = [self._looking.name, *self._resized()]
        return {
            name: Named(counted("-".join([called, *parts]), made, real), make(self._last))
            for name, (called, make) in self._wanted.items()
        }

    def _resized(self) -> Sequence[str]:
        smallest = self._looking.smallest
        if smallest is None:
            return []
        size = "native" if self._smallest >= smallest else f"enlarged{smallest}"
        return [f"tiles{min(self._smallest, TILE)}", size] if self._tiled else [size]


def tiles(images: Tensor, side: int = TILE) -> Tensor:
    """Squares of `side` pixels, or smaller ones where an image has not 2 x 2 of them: `[N * tiles, C, side, side]`."""
    side = min(side, min(images.shape[2:]) // 2)
    squares = images.unfold(2, side, side).unfold(3, side, side)
    return squares.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
