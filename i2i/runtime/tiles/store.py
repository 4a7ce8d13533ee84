"""Values of a whole image between two stages: in memory while they are small, else in a file that has no name."""

from __future__ import annotations

import errno
import math
import mmap
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from i2i.errors import I2IError
from i2i.memory import free_memory

_IN_MEMORY: Final = 2**28  # bytes of a plane at most, and
_MEMORY_SHARE: Final = 0.1  # of what is free
_DISK_SHARE: Final = 0.5
_MOUNTS: Final = Path("/proc/self/mounts")


def room(lanes: int = 1) -> float:
    """The bytes that all planes of an image may take: of the disk, where they would not fit into memory.

    lanes: how many images may be under way.
    """
    folder = _folder()
    on_disk = _DISK_SHARE * shutil.disk_usage(folder).free if folder is not None else 0.0
    return max(2 * _most(), on_disk / lanes)


@final
class Plane:
    """An array `[C, H, W]` that is written and read by windows."""

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._file: mmap.mmap | None = None
        size = math.prod(shape) * dtype.itemsize
        folder = _folder()
        if size <= _most() or folder is None:
            self.values: NDArray[Any] = np.empty(shape, dtype)
            return
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.truncate(size)
                _reserve(file.fileno(), size)
                self._file = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise I2IError(
                f"{folder}: {size / 2**30:.1f} GiB between two stages do not fit: {error.strerror}",
                "Free some space there, or name another folder with TMPDIR.",
            ) from None
        self.values = np.frombuffer(self._file, dtype).reshape(shape)

    def like(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> bool:
        """Whether it could hold such values as well."""
        return self.values.shape == shape and self.values.dtype == dtype

    def forget(self) -> None:
        """Takes what lies in the file out of this process's memory; the system writes and reads it when it must."""
        if self._file is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._file.madvise(mmap.MADV_DONTNEED)


def _most() -> float:
    return min(_IN_MEMORY, _MEMORY_SHARE * free_memory())


def _reserve(file: int, size: int) -> None:
    """Takes the space now; a full disk would end the process when a page is written."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # not every file system can
                raise


def _folder() -> str | None:
    """A folder for temporary files that lies on a disk; None where there is none, as with a /tmp in memory."""
    return next((folder for folder in (tempfile.gettempdir(), "/var/tmp") if _on_disk(folder)), None)


def _on_disk(folder: str) -> bool:
    if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):  # noqa: PTH112
        return False
    try:
        mounts = [line.split() for line in _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:  # a system without such a list, and without folders in memory
        return True
    place = Path(folder).resolve()
    found = [(len(line[1]), line[2]) for line in mounts if place.is_relative_to(line[1])]
    return max(found, default=(0, ""))[1] not in ("tmpfs", "ramfs")
