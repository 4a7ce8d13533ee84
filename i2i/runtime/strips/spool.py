"""Pixels that wait on the disk, in a file without a name, where memory is too small for them."""

from __future__ import annotations

import shutil
import tempfile
from threading import Lock
from typing import TYPE_CHECKING, Final, Self, final

import numpy as np

from i2i.errors import ImageError
from i2i.files import refuse

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from i2i.images import Pixels

# EXIF's orientations (2.3, table 6): which are rows for columns, which of the stored sides run backwards.
_SWAPPED: Final = (5, 6, 7, 8)
_ROWS_BACKWARDS: Final = (3, 4, 6, 7)
_COLUMNS_BACKWARDS: Final = (2, 3, 7, 8)


@final
class Spool:
    """An image that is appended row by row as it was stored, and then read by windows, upright.

    It is read and not mapped: what is mapped counts as this process's memory. Any thread may read.
    """

    def __init__(self, folder: Path, height: int, width: int, channels: int, *, orientation: int = 1) -> None:
        """Height and width are those stored; the `orientation` is EXIF's. Raises I2IError where the disk refuses."""
        self._folder = folder
        self._stored = height, width
        self._orientation = orientation
        self.channels = channels
        self.height, self.width = (width, height) if orientation in _SWAPPED else (height, width)
        self._lock = Lock()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            refuse(folder, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, rows: Pixels) -> None:
        """Adds uint8 rows `[h, width, channels]` as they are stored; raises I2IError where the disk refuses."""
        left = np.ascontiguousarray(rows).reshape(-1).data
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            refuse(self._folder, error)

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The window of the upright image as uint8 `[bottom - top, right - left, channels]`."""
        height, width = self._stored
        rows, columns = (top, bottom), (left, right)
        if self._orientation in _SWAPPED:
            rows, columns = columns, rows
        if self._orientation in _ROWS_BACKWARDS:
            rows = height - rows[1], height - rows[0]
        if self._orientation in _COLUMNS_BACKWARDS:
            columns = width - columns[1], width - columns[0]
        window = self._window(rows, columns)
        if self._orientation in _ROWS_BACKWARDS:
            window = window[::-1]
        if self._orientation in _COLUMNS_BACKWARDS:
            window = window[:, ::-1]
        return np.ascontiguousarray(window.swapaxes(0, 1) if self._orientation in _SWAPPED else window)

    def _window(self, rows: tuple[int, int], columns: tuple[int, int]) -> Pixels:
        width = self._stored[1]
        window = np.empty((rows[1] - rows[0], columns[1] - columns[0], self.channels), np.uint8)
        pieces = [window] if columns == (0, width) else window
        for number, piece in enumerate(pieces):
            self._fill(piece, ((rows[0] + number) * width + columns[0]) * self.channels)
        return window

    def _fill(self, piece: Pixels, offset: int) -> None:
        left = piece.reshape(-1).data
        with self._lock:
            self._file.seek(offset)
            while left:
                count = self._file.readinto(left)
                if not count:
                    raise EOFError("a window was read before its rows were there")
                left = left[count:]


def need_room(folder: Path, size: int) -> None:
    """Raises ImageError where `folder` has no room for `size` bytes; for a smaller image there may be room."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        refuse(folder, error)
    if free < size:
        raise ImageError(
            f"{folder}: needs {size / 2**30:.1f} GiB for the pixels while it works, and has {free / 2**30:.1f}",
            "Free some space there, or choose another place.",
        )
