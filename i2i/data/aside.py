"""Which pairs are set aside: decided for each by its name, whatever the seed, the machine and the other pairs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b


def share(name: str) -> float:
    """The hash of a name as a number from 0 up to 1, evenly spread over names."""
    digest = blake2b(os.fsencode(name), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def held_out(names: Iterable[str], fraction: float) -> set[str]:
    """Those of `names` whose `share` is below `fraction`; of two or more at least one, and never all of them."""
    ranked = sorted((share(name), name) for name in names)
    if len(ranked) < 2:
        return set()
    wanted = sum(rank < fraction for rank, _ in ranked)
    return {name for _, name in ranked[: max(1, min(wanted, len(ranked) - 1))]}
