"""Which samples are set aside: decided for each by its name, whatever the seed, the machine and the other samples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from i2i.data.sources import Parts, Source


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


def set_aside(parts: Parts, classes: Mapping[Source, str], fraction: float) -> Parts:
    """Takes sources from training for validation, where the data has no such split: the same share of each class."""
    if "validation" in parts or fraction == 0:
        return parts
    by_class: dict[str, list[str]] = {}
    for source in parts["train"]:
        by_class.setdefault(classes.get(source, ""), []).append(source.name)
    aside = {name for names in by_class.values() for name in held_out(names, fraction)}
    return {
        **parts,
        "train": [source for source in parts["train"] if source.name not in aside],
        "validation": [source for source in parts["train"] if source.name in aside],
    }
