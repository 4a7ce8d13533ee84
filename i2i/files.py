"""Files that are whole or absent: written aside, flushed to the disk, renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

from i2i.errors import I2IError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a directory to; on success it takes the name `path`.

    When the block raises, nothing is left and whatever was at `path` stays. A new directory must not exist yet.
    Raises I2IError, naming `path` and the cause, where the system refuses to write.
    """
    aside = path.with_name(f".{path.name[:64]}.{uuid4().hex[:8]}.tmp")  # a name has 255 bytes at most
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        for written in sorted(aside.rglob("*")) if aside.is_dir() else []:
            _flush(written)
        _flush(aside)
        aside.replace(path)
        _flush(path.parent)
    except OSError as error:
        _remove(aside)
        refuse(path, error)
    except BaseException:
        _remove(aside)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path`, whole or not at all; raises I2IError."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def refuse(path: Path, error: OSError) -> NoReturn:
    """Raises the I2IError that says why `path` cannot be written."""
    reason = error.strerror or str(error)
    full = error.errno == errno.ENOSPC or "No space" in reason
    hint = "Free some space there, or choose another place." if full else "Choose a place that can be written to."
    raise I2IError(f"{path}: cannot be written: {reason}", hint) from error


def _flush(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # directories cannot be opened there
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
