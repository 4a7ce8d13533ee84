"""What every kind of data is to the trainer: samples by number, augmented or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Sample = dict[str, NDArray[np.integer[Any]]]
"""Images uint8 `[H, W, C]` by their role (`input`, `target`), and `label` int64 `[]` where there are classes."""

Batch = dict[str, NDArray[np.integer[Any]]]
"""Samples stacked: uint8 `[N, H, W, C]` and int64 `[N]`, contiguous and the caller's to keep."""


class Samples(Protocol):
    """The samples of one split in a fixed order."""

    def __len__(self) -> int: ...

    @property
    def names(self) -> list[str]:
        """What each sample is called."""
        ...

    @property
    def uniform(self) -> bool:
        """Whether all are of one shape when they are not augmented, so that they can be stacked."""
        ...

    def spread(self, count: int) -> Samples:
        """At most `count` of them, evenly spaced."""
        ...

    def training(self, index: int, seed: int) -> Sample:
        """Sample `index` augmented, a pure function of both; `seed` from 0 to 2**32 - 1.

        Raises DataError, which names the file, where it cannot be used.
        """
        ...

    def drawn(self, index: int, seed: int) -> str:
        """What the images of `training(index, seed)` are called."""
        ...

    def evaluating(self, index: int) -> Sample:
        """Sample `index` as it is scored, not augmented; raises DataError likewise."""
        ...


def evenly(length: int, count: int) -> Sequence[int]:
    """At most `count` of the numbers below `length`, evenly spaced from 0 on."""
    count = min(count, length)
    return [index * length // count for index in range(count)]
