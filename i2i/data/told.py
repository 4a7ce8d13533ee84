"""Many names in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

_SHOWN: Final = 5


def some(names: Iterable[str]) -> str:
    """How many there are, and what the first few are called."""
    listed = sorted(names)
    return f"{len(listed)}: {shortened(listed)}"


def shortened(names: Sequence[str]) -> str:
    """What the first few are called, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def remarked(remarks: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """A line for each remark, with what it is made about: from a name and the remarks about it, of each in turn."""
    names: dict[str, list[str]] = {}
    for name, each in remarks:
        for remark in each:
            names.setdefault(remark, []).append(name)
    return [f"{len(listed)} {remark}: {shortened(listed)}" for remark, listed in names.items()]
