"""Batches: which samples, in which order, augmented how, read ahead by threads.

Training draws from an endless row of epochs, each a permutation of all samples; batch b is the b-th stretch of that
row, across the ends of epochs. The permutation is a function of (seed, epoch), a sample's augmentation one of (seed,
epoch, index): so batch b is a function of (seed, b), the number of threads changes nothing, and resuming needs no
replay.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
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

    Raises DataError where there are no samples.
    """

    def __init__(self, samples: Samples, *, batch: int, seed: int, threads: int) -> None:
        if len(samples) == 0:
            raise DataError("nothing to train on", "Choose another data.source.")
        self._samples = samples
        self._batch = batch
        self._seed = seed
        self._threads = threads
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

    def _sample(self, position: int) -> Sample:
        epoch, place = divmod(position, len(self._samples))
        index = int(self._order(epoch)[place])
        (seed,) = np.random.SeedSequence((self._seed, epoch, index)).generate_state(1)
        return self._samples.training(index, int(seed))

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
