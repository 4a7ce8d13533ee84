"""Batches: which pairs, in which order, augmented how, read ahead by threads.

Training draws from an endless row of epochs, each a permutation of all pairs; batch b is the b-th stretch of that row,
across the ends of epochs. The permutation is a function of (seed, epoch) and a pair's augmentation one of (seed, epoch,
index): so batch b is a function of (seed, b), the number of threads changes nothing, and resuming needs no replay.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from i2i.config import DataConfig
from i2i.data.augment import Augmentation
from i2i.data.pairs import Pairs
from i2i.data.threads import read_ahead, thread_count
from i2i.errors import DataError
from i2i.images import Pixels

Batch = dict[str, Pixels]
"""`input` uint8 `[N, H, W, C]` and `target` uint8 `[N, H, W, K]`, contiguous and the caller's to keep."""


class Loader:
    """The endless row of training batches over `pairs`, augmented as `config` says.

    Raises DataError where there are no pairs.
    """

    def __init__(self, pairs: Pairs, config: DataConfig, *, batch: int, seed: int) -> None:
        if len(pairs) == 0:
            raise DataError("no pairs to train on", "Choose another data.source.")
        self._pairs = pairs
        self._batch = batch
        self._seed = seed
        self._threads = thread_count(config.workers)
        self._augment = Augmentation(config)
        self._order = lru_cache(maxsize=4)(self._permutation)

    def read(self, first: int = 0) -> closing[Generator[Batch, None, None]]:
        """The batches `first`, `first + 1`, and so on without end; leaving the `with` block stops the threads.

        `next` raises DataError, which names the file, where one can no longer be read.
        """
        ahead = self._threads + 1
        return closing(read_ahead(self._make, count(first), threads=self._threads, ahead=ahead))

    def _make(self, number: int) -> Batch:
        start = number * self._batch
        return _stack(self._sample(position) for position in range(start, start + self._batch))

    def _sample(self, position: int) -> tuple[Pixels, Pixels]:
        epoch, place = divmod(position, len(self._pairs))
        index = int(self._order(epoch)[place])
        (seed,) = np.random.SeedSequence((self._seed, epoch, index)).generate_state(1)
        return self._augment(*self._pairs.read(index), int(seed))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        bits = np.random.PCG64(np.random.SeedSequence((self._seed, epoch)))
        return np.random.Generator(bits).permutation(len(self._pairs))


def evaluation(pairs: Pairs, config: DataConfig, *, batch: int) -> Generator[Batch, None, None]:
    """Yields all `pairs` once, in their order and without augmentation, `config.size` square; the last may be short.

    As published, images are stretched to the square; with `fit` scale or none the middle is cut out. Raises DataError,
    which names the file, where one can no longer be read.
    """

    def make(start: int) -> Batch:
        indices = range(start, min(start + batch, len(pairs)))
        return _stack(_middle(pairs.read(index), config.size) for index in indices)

    threads = thread_count(config.workers)
    yield from read_ahead(make, range(0, len(pairs), batch), threads=threads, ahead=threads + 1)


def _middle(pair: tuple[Pixels, Pixels], size: int) -> tuple[Pixels, Pixels]:
    image, target = pair
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size], target[top : top + size, left : left + size]


def _stack(samples: Iterable[tuple[Pixels, Pixels]]) -> Batch:
    inputs, targets = zip(*samples, strict=True)
    return {"input": np.stack(inputs), "target": np.stack(targets)}
