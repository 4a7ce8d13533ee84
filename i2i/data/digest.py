"""What data holds as a short text: it changes when a file does, or a name, or which files there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

from i2i.data.sources import File, Source
from i2i.errors import DataError

_BYTES: Final = 16  # of a digest: what is changed by chance or by hand is found, which is all that is asked
_PIECE: Final = 2**20  # bytes that are read at a time


def content(source: Source) -> bytes:
    """The digest of a source's name and of all bytes of its files; raises DataError where one cannot be read."""
    whole = blake2b(_framed(source.name.encode("utf-8", "surrogateescape")), digest_size=_BYTES)
    for file in source.files:
        whole.update(_of_file(file))
    return whole.digest()


def digest(origin: str, sides: Iterable[Sequence[bytes]]) -> str:
    """The digest of what each side holds in its order, and of the `origin` of what has no files: which release of what.

    sides: the `content` of each source.
    """
    whole = blake2b(_framed(origin.encode()), digest_size=_BYTES)
    for contents in sides:
        whole.update(_framed(b"".join(contents)))
    return whole.hexdigest()


def _of_file(file: File) -> bytes:
    if isinstance(file, bytes):
        return blake2b(file, digest_size=_BYTES).digest()
    read = blake2b(digest_size=_BYTES)
    try:
        with Path(file).open("rb") as opened:
            while piece := opened.read(_PIECE):
                read.update(piece)
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "Restore the file or remove it.") from error
    return read.digest()


def _framed(held: bytes) -> bytes:
    """With its length, so that no two rows of bytes look alike."""
    return len(held).to_bytes(8) + held
