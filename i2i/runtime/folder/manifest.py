"""What was made in an output folder: a hidden file of JSON lines in it, and the lock that keeps others out.

A line says of an output what it was made from, by which model and options, and its size and SHA-256. It is written
before the output takes its name, so that an output without a line is not ours. It is believed only where the bytes
agree, so that an output that was cut short, replaced or removed is made again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, final

from i2i.errors import I2IError
from i2i.files import refuse

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME: Final = ".i2i-translate.jsonl"
_FLUSH: Final = 5.0  # seconds between flushes to the disk: what a loss of power may make us forget
_BEYOND: Final = 2**30  # a byte that is locked on Windows, past all that is written: locked bytes cannot be read there


@dataclass(frozen=True, slots=True)
class Made:
    """What an output was made from and by.

    input: its path from the output folder. stamp: its size and time, or the digest of bytes. work: see `digest`.
    """

    input: str
    stamp: str
    work: str


@final
class Manifest:
    """The outputs of one folder, by their paths in it, that this and earlier calls made; see `open_manifest`."""

    def __init__(self, folder: Path, file: int, lines: dict[str, dict[str, Any]], *, locked: bool) -> None:
        self._folder = folder
        self._file = file
        self._lines = lines
        self.locked = locked  # False on a file system without locks: another process may be writing
        self._writing = Lock()
        self._flushed = time.monotonic()

    def made(self, source: Path | bytes, work: str) -> Made:
        """What a file says that is made of `source` now; raises OSError where there is no such file."""
        if isinstance(source, bytes):
            return Made("stdin", hashlib.sha256(source).hexdigest(), work)
        state = source.stat()
        try:
            named = os.path.relpath(source, self._folder)
        except ValueError:  # on another drive
            named = str(source.absolute())
        return Made(Path(named).as_posix(), f"{state.st_size} {state.st_mtime_ns}", work)

    def knows(self, output: str) -> bool:
        """Whether an earlier call made the output, or was about to."""
        return output in self._lines

    def has(self, output: str, made: Made) -> bool:
        """Whether the output is there, whole, and was made like that."""
        line = self._lines.get(output)
        if line is None or any(line.get(key) != value for key, value in asdict(made).items()):
            return False
        target = self._folder / output
        try:
            if not target.is_dir() and target.stat().st_size != line.get("size"):
                return False
            return weigh(target) == (line.get("size"), line.get("sha256"))
        except OSError:
            return False

    def add(self, output: str, made: Made, size: int, sha256: str) -> None:
        """Says that the output is about to be a file of this size and digest; raises OSError."""
        line = {"output": output, "size": size, "sha256": sha256, **asdict(made)}
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
        with self._writing:
            end = os.fstat(self._file).st_size
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._file, end)  # half a line would spoil the next one
                raise
            if time.monotonic() - self._flushed > _FLUSH:
                os.fsync(self._file)
                self._flushed = time.monotonic()


@contextmanager
def open_manifest(folder: Path, *, read: bool) -> Iterator[Manifest]:
    """The manifest of an output folder, which is made, and locked while this is open; the system frees it on a kill.

    read: whether earlier calls are of interest. Raises I2IError where another process holds it, or it cannot be.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        refuse(path, error)
    try:
        locked = _lock(file, folder)
        try:
            _end_last_line(file)
            lines = _read(path) if read else {}
        except OSError as error:
            refuse(path, error)
        yield Manifest(folder, file, lines, locked=locked)
    finally:
        os.close(file)


def made_within(folder: Path) -> set[str]:
    """The outputs in a folder, by their paths in it, that earlier calls made of files of the same folder."""
    try:
        lines = _read(folder / NAME)
    except OSError:
        return set()
    inputs = {output: str(line.get("input", "..")) for output, line in lines.items()}
    return {
        output for output, name in inputs.items() if not Path(name).is_absolute() and Path(name).parts[:1] != ("..",)
    }


def weigh(output: Path) -> tuple[int, str]:
    """The size and SHA-256 of a file, or of the files of a folder with their names; raises OSError."""
    if not output.is_dir():
        with output.open("rb") as file:
            return output.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
    whole, size = hashlib.sha256(), 0
    for path in sorted(output.iterdir()):
        data = path.read_bytes()
        size += len(data)
        whole.update(b"%s\0%d\0" % (os.fsencode(path.name), len(data)) + data)
    return size, whole.hexdigest()


def digest(model: Path, options: Mapping[str, object]) -> str:
    """One SHA-256 for the content of the model's file and all options on which the bytes of an output depend."""
    with model.open("rb") as file:
        whole = hashlib.file_digest(file, "sha256")
    whole.update(json.dumps(options, sort_keys=True).encode())
    return whole.hexdigest()


def _lock(file: int, folder: Path) -> bool:
    """Whether the lock is held; raises I2IError where another process holds it."""
    try:
        if sys.platform == "win32":
            os.lseek(file, _BEYOND, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # There are network file systems without locks; to refuse them would help nobody.
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise I2IError(
                f"{folder}: another `i2i translate` is writing to this folder", "Wait for it, or give another -o."
            ) from None
        return False
    return True


def _end_last_line(file: int) -> None:
    """A line that a kill cut short gets an end, so that the next one stands alone."""
    size = os.lseek(file, 0, os.SEEK_END)
    if size:
        os.lseek(file, size - 1, os.SEEK_SET)
        if os.read(file, 1) != b"\n":
            os.write(file, b"\n")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """The last line of each output; a line that is not whole says nothing."""
    lines: dict[str, dict[str, Any]] = {}
    with path.open("rb") as file:
        for text in file:
            try:
                line = json.loads(text.decode("utf-8", "surrogateescape"))
                lines[line.pop("output")] = line
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    return lines
