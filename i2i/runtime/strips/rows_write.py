"""Image files written row by row: PNG and TIFF as the rows come, JPEG, WebP and BMP when all have come."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, final

import numpy as np

from i2i.errors import ImageError
from i2i.files import replacing
from i2i.images import MODES, QUALITY, WRITABLE, check_writable, encode, encode_for, from_pixels, opening, to_pixels
from i2i.metadata import NOTHING, Metadata
from i2i.runtime.strips import rows_vips
from i2i.runtime.strips.spool import need_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from i2i.images import Pixels

_LONGEST: Final = {
    "PNG": 2**31 - 1,
    "JPEG": 65_500,
    "WEBP": 16_383,
    "TIFF": 2**32 - 1,
    "BMP": 2**31 - 1,
}  # side, pixels
_LARGEST: Final = {"BMP": 2**32 - 2**16}  # bytes of pixels
_NO_ALPHA: Final = ("JPEG", "BMP")
_BAND: Final = 2**18  # values that are filtered at once: they stay in the processor's cache


class Sink(Protocol):
    """An image file that is written from top to bottom."""

    def write(self, rows: Pixels) -> None:
        """Appends uint8 rows `[h, width, channels]`."""


@contextmanager
def open_sink(
    path: Path, width: int, height: int, channels: int, *, quality: int = QUALITY, beside: Metadata = NOTHING
) -> Iterator[Sink]:
    """Yields the sink of an image file, which is there whole or not at all, in the format of its suffix.

    PNG and TIFF need no memory for what was written. The others wait for the last row in an uncompressed file; libvips
    then encodes JPEG and WebP by strips, Pillow does with the whole image in memory. JPEG and BMP lose the alpha
    channel, laid on white. Raises ImageError, before anything is made, where the format cannot hold the image, and
    I2IError where the disk refuses.
    """
    check_writable(path)
    form = WRITABLE[path.suffix.lower()]
    kept = channels - 1 if form in _NO_ALPHA and channels in (2, 4) else channels
    check_size(path, width, height, kept)
    with replacing(path) as aside:
        if form in ("PNG", "TIFF"):
            writer = _Png if form == "PNG" else _Tiff
            with aside.open("wb") as file:
                yield (sink := _Counted(writer(file, width, height, kept, beside), kept))
                sink.finish(height)
            return
        need_room(aside.parent, width * height * kept)
        with tempfile.TemporaryFile(dir=aside.parent) as file:
            yield (sink := _Counted(_Tiff(file, width, height, kept, NOTHING), kept))
            sink.finish(height)
            file.seek(0)
            mode = MODES[kept]
            if form not in rows_vips.ENCODED or not rows_vips.encode(
                file, aside, form, mode=mode, quality=quality, beside=beside
            ):
                with opening(file, str(path), width * height) as image:
                    encoded = encode_for(image, path, quality=quality, beside=beside)
                aside.write_bytes(encoded)


def check_size(path: Path, width: int, height: int, channels: int) -> None:
    """Raises ImageError where the format of `path` has no place for so large an image."""
    form = WRITABLE[path.suffix.lower()]
    if max(width, height) > _LONGEST[form] or width * height * channels > _LARGEST.get(form, 2**62):
        raise ImageError(f"{path}: {form} cannot hold {width} x {height} pixels", "Write a .png instead.")


class _Writer(Protocol):
    def write(self, rows: Pixels) -> None: ...

    def finish(self) -> None: ...


@final
class _Counted:
    """A writer that knows when the image is whole, and takes rows with a channel more than the format has."""

    def __init__(self, writer: _Writer, channels: int) -> None:
        self._writer = writer
        self._channels = channels
        self._rows = 0

    def write(self, rows: Pixels) -> None:
        self._rows += rows.shape[0]
        self._writer.write(rows if rows.shape[2] == self._channels else to_pixels(from_pixels(rows), self._channels))

    def finish(self, height: int) -> None:
        if self._rows != height:
            raise ValueError(f"{self._rows} rows were written of {height}")
        self._writer.finish()


@final
class _Png:
    """PNG (ISO/IEC 15948) with 8 bits a channel, each row under the Paeth filter, in chunks as they fill.

    Run-length matches alone: for filtered photographs as small as a longer search, at several times its speed.
    """

    def __init__(self, file: BinaryIO, width: int, height: int, channels: int, beside: Metadata) -> None:
        self._file = file
        self._above = np.zeros((1, width, channels), np.uint8)
        self._deflate = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
        head = encode(from_pixels(self._above[:, :1]), ".png", beside=beside)  # Pillow knows where metadata goes
        file.write(head[:8])
        for kind, body in _chunks(head):
            if kind == b"IHDR":
                self._chunk(kind, struct.pack(">II", width, height) + body[8:])
            elif kind not in (b"IDAT", b"IEND"):
                self._chunk(kind, body)

    def write(self, rows: Pixels) -> None:
        step = max(1, _BAND // self._above.size)
        for top in range(0, rows.shape[0], step):
            band = rows[top : top + step]
            self._chunk(b"IDAT", self._deflate.compress(_paeth(band, self._above)))
            self._above = band[-1:].copy()

    def finish(self) -> None:
        self._chunk(b"IDAT", self._deflate.flush())
        self._chunk(b"IEND", b"")

    def _chunk(self, kind: bytes, body: bytes) -> None:
        if body or kind != b"IDAT":
            self._file.write(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 8
    while offset < len(png):
        (length,) = struct.unpack_from(">I", png, offset)
        yield png[offset + 4 : offset + 8], png[offset + 8 : offset + 8 + length]
        offset += length + 12


def _paeth(rows: Pixels, above: Pixels) -> bytes:
    """Each row with the filter's number before it (ISO/IEC 15948, 9.4): a pixel less its likeliest neighbour."""
    up = np.concatenate([above, rows[:-1]])
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, 1:], corner[:, 1:] = rows[:, :-1], up[:, :-1]
    to_left = up.astype(np.int16) - corner  # how far left + up - corner is from each of them
    to_up = left.astype(np.int16) - corner
    to_corner = np.abs(to_left + to_up)
    np.abs(to_left, out=to_left)
    np.abs(to_up, out=to_up)
    nearest = np.where(to_up <= to_corner, up, corner)
    np.copyto(nearest, left, where=(to_left <= to_up) & (to_left <= to_corner))
    filtered = np.full((rows.shape[0], 1 + rows[0].size), 4, np.uint8)
    filtered[:, 1:] = (rows - nearest).reshape(rows.shape[0], -1)
    return filtered.tobytes()


@final
class _Tiff:
    """TIFF 6.0 without compression, in one strip; BigTIFF where offsets have no room in 32 bits."""

    def __init__(self, file: BinaryIO, width: int, height: int, channels: int, beside: Metadata) -> None:
        self._file = file
        size = width * height * channels
        head = io.BytesIO()
        pixel = from_pixels(np.zeros((1, 1, channels), np.uint8))
        # Pillow knows how the tags and the metadata are written. Its file becomes the beginning of this one.
        pixel.save(head, "TIFF", big_tiff=size > 2**32 - 2**24, **beside.options("TIFF", pixel.mode))
        start = head.tell() + head.tell() % 2
        changes = {256: width, 257: height, 273: start, 278: height, 279: size}
        file.write(_changed(head.getvalue(), changes).ljust(start, b"\0"))

    def write(self, rows: Pixels) -> None:
        self._file.write(np.ascontiguousarray(rows).data)

    def finish(self) -> None:
        self._file.flush()


def _changed(tiff: bytes, changes: dict[int, int]) -> bytes:
    """A TIFF file of one pixel with other values of tags that have one value, as 32 bits, or 64 in BigTIFF."""
    order = "<" if tiff[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", tiff, 2)[0] == 43
    (directory,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", tiff, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", tiff, directory)
    form, first = (f"{order}HHQQ", directory + 8) if big else (f"{order}HHII", directory + 2)
    changed = bytearray(tiff)
    for number in range(count):
        offset = first + number * struct.calcsize(form)
        (tag,) = struct.unpack_from(f"{order}H", tiff, offset)
        if tag in changes:
            struct.pack_into(form, changed, offset, tag, 16 if big else 4, 1, changes[tag])
    return bytes(changed)
