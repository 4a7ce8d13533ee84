"""What is no longer as it was when a checkpoint was saved, as far as it decides what comes of the training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_INDIFFERENT: Final = frozenset(
    {
        "data.source",  # whether the images are others, their digests tell
        "data.second",
        "data.cache",
        "data.workers",
        "data.max_bytes",
        "device",  # what it comes to is compared, as part of the machine
        "init",  # weights come from the checkpoint
        "trainer.guard.attempts",
        "trainer.keep",
        "trainer.keep_every",
        "trainer.log_every",
        "trainer.validate_every",
    }
)
"""Keys that change no weight of a run that goes on."""
_VERSIONS: Final = ("i2i", "torch")


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A sentence for each thing that decides the result and differs, such as `trainer.lr: 0.0002, now 0.0001`.

    before, now: `config`, a configuration in JSON, the `machine`, and the versions of `i2i` and `torch`, as in
    `Checkpoint.told`. What only one of them knows is not compared: the version that wrote the other had no such key.
    """
    found = [
        f"{key}: {_said(old)}, now {_said(new)}"
        for key, old, new in _differing(before.get("config", {}), now.get("config", {}), "")
        if key not in _INDIFFERENT
    ]
    was, now_is = (
        {**told.get("machine", {}), **{name: told[name] for name in _VERSIONS if told.get(name)}}
        for told in (before, now)
    )
    for name, old, new in _differing(was, now_is, ""):
        found.append(f"{name}: {_said(old)}, now {_said(new)}, which need not give the same bit for bit")
    return found


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object, object]]:
    for name in now:
        if name not in before:
            continue
        old, new = before[name], now[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differing(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name}", old, new


def _said(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
