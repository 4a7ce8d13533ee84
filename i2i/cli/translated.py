"""What `i2i translate` says of what it did: for people, and as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from i2i.runtime.folder.rendering import Result
    from i2i.runtime.translator import Translator


def naming(result: Result) -> str:
    """The error with the input's name in front, unless it says it already."""
    text = str(result.error)
    return text if result.name in text else f"{result.name}: {text}"


def status_of(result: Result) -> Literal["translated", "kept", "failed"]:
    """What became of an input, in one word."""
    if result.error is not None:
        return "failed"
    return "kept" if result.kept else "translated"


def count(done: list[Result], status: str) -> int:
    """How many results have this status."""
    return sum(status_of(result) == status for result in done)


def summary(done: list[Result], seconds: float, device: str) -> str:
    """The line at the end of a call."""
    if len(done) == 1 and status_of(done[0]) == "translated":
        (only,) = done
        size = "" if only.size is None else f"{only.size[0]} x {only.size[1]}, "
        return f"{only.name} -> {only.output} ({size}{only.seconds:.2f} s on {device})"
    kept = count(done, "kept")
    before = f"{kept} done before, " if kept else ""
    return (
        f"{count(done, 'translated')} translated, {before}{count(done, 'failed')} failed, "
        f"in {seconds:.1f} s on {device}"
    )


def printable(text: str) -> str:
    """The text with escapes for what stdout cannot show, such as names of files that are not UTF-8."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def report(path: Path, translator: Translator, done: list[Result]) -> dict[str, Any]:
    """What `--json` prints."""
    results = [
        {
            "input": result.name,
            "output": None if result.output is None else str(result.output),
            "status": status_of(result),
            **({} if result.error is None else {"error": result.error.message}),
            **({} if result.note is None else {"note": result.note}),
            "seconds": round(result.seconds, 4),
            "size": result.size,
        }
        for result in done
    ]
    return {
        "model": str(path),
        "plugin": translator.description.plugin,
        "device": translator.device,
        "provider": translator.provider,
        "results": results,
        **{status: count(done, status) for status in ("translated", "kept", "failed")},
    }
