"""How much memory this process may still take."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from i2i.cgroup import folders, text

if sys.platform != "win32":
    import resource

UNKNOWN_FREE: Final = 2 * 2**30  # where the system does not say: what any machine of today has to spare
_FILES: Final = (  # of version 2 and 1: limit, use, and the part of the use that gives way when needed
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def free_memory(root: Path = Path("/")) -> int:
    """The bytes that this process may take without swapping: the least that machine, groups and ulimit leave."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", text(root / "proc/meminfo"), re.MULTILINE)
    free = int(found[1]) * 1024 if found else UNKNOWN_FREE
    return max(0, min([free, *_left_by_groups(root), *_left_by_ulimit(root)]))


def group_limit(root: Path = Path("/")) -> int | None:
    """The least memory limit of the control groups of this process, in bytes; None without one."""
    limits = [text(folder / limit) for folder in folders("memory", root) for limit, _, _ in _FILES]
    total = total_memory(root)
    # Version 1 says "no limit" by a number larger than any machine.
    numbers = [int(limit) for limit in limits if limit.isdigit() and (total is None or int(limit) < total)]
    return min(numbers, default=None)


def total_memory(root: Path = Path("/")) -> int | None:
    """The machine's memory in bytes; None where the system does not say."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _left_by_groups(root: Path) -> list[int]:
    left = []
    for folder in folders("memory", root):
        for limit, used, gives_way in _FILES:
            most, taken = text(folder / limit), text(folder / used)
            if most.isdigit() and taken.isdigit():  # "max" is no limit
                files = re.search(rf"^{gives_way} (\d+)$", text(folder / "memory.stat"), re.MULTILINE)
                left.append(int(most) - int(taken) + (int(files[1]) if files else 0))
    return left


def _left_by_ulimit(root: Path) -> list[int]:
    """What `ulimit -v` leaves of the address space."""
    if sys.platform == "win32":
        return []
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    mapped = text(root / "proc/self/statm").partition(" ")[0]
    if most == resource.RLIM_INFINITY or not mapped.isdigit():
        return []
    return [most - int(mapped) * resource.getpagesize()]
