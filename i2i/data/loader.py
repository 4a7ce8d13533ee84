"""Batches: which samples, in which order, augmented how, read ahead by threads.

Training draws from an endless row of epochs, each a permutation of all samples; batch b is the b-th stretch of that
row, across the ends of epochs. The permutation is a function of (seed, epoch), a sample's augmentation one of (seed,
epoch, index): so batch b is a function of (seed, b), the number of threads changes nothing, and resuming needs no
replay.

A batch may be read in equal parts that follow each other, and each part by several processes, of which each reads an
equal share: together they read each sample of the row once, as one process would.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable
from contextlib import closing
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray

from i2i.data.samples import Batch, Sample, Samples
from i2i.data.threads import read_ahead
from i2i.errors import DataError


class Loader:
    """The endless row of training batches over `samples`, read by `threads` threads.

    batch: over all parts and processes, a multiple of `parts * size`. parts: in which each batch comes, one after the
    other. rank, size: which of how many processes this is. skip: numbers of batches that are left out of the row.
    Raises DataError where there are no samples, ValueError for a batch that cannot be shared out.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        batch: int,
        seed: int,
        threads: int,
        parts: int = 1,
        rank: int = 0,
        size: int = 1,
        skip: Collection[int] = (),
    ) -> None:
        if len(samples) == 0:
            raise DataError("nothing to train on", "Choose another data.source.")
        if batch % (parts * size):
            raise ValueError(f"a batch of {batch} is no multiple of {parts} parts of {size} processes")
        self._samples = samples
        self._batch = batch
        self._seed = seed
        self._threads = threads
        self._parts = parts
        self._share = batch // (parts * size)
        self._begin = rank * self._share
        self._skip = sorted(set(skip))
        self._order = lru_cache(maxsize=4)(self._permutation)

    def read(self, first: int = 0) -> closing[Generator[Batch, None, None]]:
        """The batches from the one at `first` on without end, each as its parts in turn, and of each part this share.

        `next` raises DataError, which names the file, where one can no longer be read. Leaving the `with` block stops
        the threads.
        """
        ahead = self._threads + 1
        return closing(read_ahead(self._make, count(first * self._parts), threads=self._threads, ahead=ahead))

    def number(self, at: int) -> int:
        """The number of the batch that is the one at `at` among those that are not left out."""
        for skipped in self._skip:
            if skipped <= at:
                at += 1
        return at

    def names(self, number: int) -> list[str]:
        """What the samples of the whole batch of this number are called, whether it is left out or not."""
        positions = range(number * self._batch, (number + 1) * self._batch)
        return [self._samples.drawn(*self._drawn(position)) for position in positions]

    def _make(self, place: int) -> Batch:
        at, part = divmod(place, self._parts)
        start = self.number(at) * self._batch + part * (self._batch // self._parts) + self._begin
        return _stack(self._samples.training(*self._drawn(position)) for position in range(start, start + self._share))

    def _drawn(self, position: int) -> tuple[int, int]:
        """Which sample stands at a place of the row, and the seed of its augmentation."""
        epoch, place = divmod(position, len(self._samples))
        index = int(self._order(epoch)[place])
        (seed,) = np.random.SeedSequence((self._seed, epoch, index)).generate_state(1)
        return index, int(seed)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        bits = np.random.PCG64(np.random.SeedSequence((self._seed, epoch)))
        return np.random.Generator(bits).permutation(len(self._samples))


def evaluation(samples: Samples, *, batch: int, threads: int) -> Generator[Batch, None, None]:
    """Yields all `samples` once, in their order and without augmentation; the last batch may be short.

    Those of several sizes come one by one. Raises DataError, which names the file, where one can no longer be read.
    """
    step = batch if samples.uniform else 1

    def make(start: int) -> Batch:
        return _stack(samples.evaluating(index) for index in range(start, min(start + step, len(samples))))

    yield from read_ahead(make, range(0, len(samples), step), threads=threads, ahead=threads + 1)


def _stack(samples: Iterable[Sample]) -> Batch:
    listed = list(samples)
    return {name: np.stack([sample[name] for sample in listed]) for name in listed[0]}
