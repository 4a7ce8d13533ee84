"""Statistics of each channel, taken piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel, `[C]`, over `count` places."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    count: int

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        """Of all places of `[C, H, W]`."""
        flat = values.astype(np.float32, order="C").reshape(len(values), -1)  # a copy
        count = flat.shape[1]
        mean = flat.mean(axis=1)
        flat -= mean[:, None]
        rest = flat.mean(axis=1).astype(np.float64)  # what the rounded mean left
        squares = np.einsum("cp,cp->c", flat, flat).astype(np.float64)
        return cls(mean + rest, squares / count - rest**2, count)

    def merged(self, other: Moments) -> Moments:
        """Of the places of both (Chan, Golub & LeVeque 1983, doi:10.1080/00031305.1983.10483115, eq. 2.1)."""
        count = self.count + other.count
        share = other.count / count
        apart = other.mean - self.mean
        within = self.variance * (1 - share) + other.variance * share
        return Moments(self.mean + apart * share, within + apart**2 * share * (1 - share), count)
