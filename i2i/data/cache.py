"""Decoded images that are kept in memory, as many as fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from i2i.images import Pixels


class Cache:
    """Images, one or several together, by key, up to a number of bytes; what does not fit is made again each time.

    Nothing is ever put out: where every one is asked for once an epoch in a random order, whatever is kept is as good
    as anything else. What comes out is read-only and the same whether it was kept or made.
    """

    def __init__(self, budget: int) -> None:
        self._free = budget
        self._kept: dict[Hashable, tuple[Pixels, ...]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], tuple[Pixels, ...]]) -> tuple[Pixels, ...]:
        """What is kept under `key`, or `make()`."""
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        made = make()
        for pixels in made:
            pixels.setflags(write=False)
        size = sum(pixels.nbytes for pixels in made)
        with self._lock:  # two threads may have made the same; the first is kept
            if key not in self._kept and size <= self._free:
                self._free -= size
                self._kept[key] = made
        return made
