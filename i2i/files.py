"""Files that are whole or absent: written aside, flushed to the disk, renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn
from uuid import uuid4

from i2i.errors import I2IError

_FULL: Final = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_ASIDE: Final = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp", re.DOTALL)
_LONGEST: Final = 48  # characters, of 4 bytes at most, of the name that are kept aside: a name has 255 bytes


class DiskFullError(I2IError):
    """There is no space left for a file, or none that this user may take."""


@contextmanager
def replacing(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """Yields a path beside `path` to write a file or a directory to; on success it takes the name `path`.

    When the block raises, nothing is left and whatever was at `path` stays. A new directory must not exist yet.
    flush: to the disk, before the name is taken. Without, a file is still whole after its writer is killed, and may be
    empty only after the machine itself lost power; that is up to twenty times as fast.
    Raises I2IError, naming `path` and the cause, where the system refuses to write: DiskFullError for lack of space.
    """
    aside = path.with_name(f".{path.name[:_LONGEST]}.{uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if flush:
            for written in sorted(aside.rglob("*")) if aside.is_dir() else []:
                _flush(written)
            _flush(aside)
        aside.replace(path)
        if flush:
            _flush(path.parent)
    except OSError as error:
        _remove(aside)
        refuse(path, error)
    except BaseException:
        _remove(aside)
        raise


def remove_asides(paths: Iterable[Path]) -> None:
    """Removes what writers of these files left beside them when they were killed; nobody may be writing them now."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name[:_LONGEST])
    for folder, ours in names.items():
        for left in asides(folder):
            named = _ASIDE.fullmatch(left.name)
            if named and named[1] in ours:
                _remove(left)


def asides(folder: Path) -> list[Path]:
    """What writers have beside the files of a folder, or have left there when they were killed."""
    with suppress(OSError):
        return [path for path in folder.iterdir() if _ASIDE.fullmatch(path.name)]
    return []


def sweep(folder: Path) -> None:
    """Removes all that writers left beside the files of a folder; nobody may be writing there now."""
    for left in asides(folder):
        _remove(left)


def write_text(path: Path, text: str) -> None:
    """Writes `text` to `path`, whole or not at all; raises I2IError."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def refuse(path: Path, error: OSError) -> NoReturn:
    """Raises the I2IError that says why `path` cannot be written: DiskFullError for lack of space."""
    raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> I2IError:
    """The error that `refuse` raises."""
    reason = error.strerror or str(error)
    message = f"{path}: cannot be written: {reason}"
    if error.errno in _FULL or "No space" in reason:
        return DiskFullError(message, "Free some space there, or choose another place.")
    return I2IError(message, "Choose a place that can be written to.")


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
