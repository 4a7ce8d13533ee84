"""How a run stands by its facts: whether somebody plays it still, and for how long it has been played."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def now() -> str:
    """The time as `run.json` keeps it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def standing(facts: Mapping[str, Any]) -> str:
    """The state that `run.json` tells, or "killed" of one that says to be running and has no process any more."""
    state = str(facts.get("state", "unknown"))
    process = facts.get("process")
    if state != "running" or os.name == "nt":  # where a process cannot be asked for without ending it
        return state
    if not isinstance(process, dict) or not isinstance(process.get("pid"), int):
        return "killed"
    if process.get("host") != platform.node():
        return state
    try:
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return "killed"
    except (OSError, OverflowError):  # somebody else's
        pass
    return state


def played(facts: Mapping[str, Any]) -> float | None:
    """The seconds that a run has been played, over all its attempts but those that were killed; None: not known."""
    before = facts.get("seconds", 0.0)
    try:
        if facts.get("ended") is not None:
            return float(before) if "seconds" in facts else _between(facts["started"], facts["ended"])
        # Of earlier versions, and of a run that was not locked, the beginning alone is known.
        since = facts.get("begun") or (None if "seconds" in facts else facts["started"])
        return float(before) + (_between(since, now()) if since is not None else 0.0)
    except (KeyError, TypeError, ValueError):
        return None


def _between(start: object, end: object) -> float:
    return max(0.0, (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds())
