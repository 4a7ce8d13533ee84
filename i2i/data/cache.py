"""Decoded images that are kept in memory, as many as fit."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Final

from i2i.images import Pixels

UNKNOWN_FREE: Final = 2 * 2**30  # where the system does not say: what any machine that trains has
_GROUPS: Final = (  # control groups, version 2 and 1: limit, use, and the part of the use that gives way when needed
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


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


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that can be taken without swapping: what the machine has left, or the control group where that is less."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    free = int(found[1]) * 1024 if found else UNKNOWN_FREE
    for limit, used, stat, gives_way in _GROUPS:
        most, taken = (_text(root / "sys/fs/cgroup" / name).strip() for name in (limit, used))
        if most.isdigit() and taken.isdigit():  # "max" is no limit
            files = re.search(rf"^{gives_way} (\d+)$", _text(root / "sys/fs/cgroup" / stat), re.MULTILINE)
            free = min(free, int(most) - int(taken) + (int(files[1]) if files else 0))
    return max(0, free)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
