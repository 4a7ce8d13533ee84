"""Image files opened by Pillow: which formats, how large, and what Pillow warns of."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import threading
import warnings
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, final

from PIL import Image, UnidentifiedImageError

from i2i.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL import ImageFile

FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
MAX_PIXELS: Final = 89_478_485  # a quarter of a GiB as RGB; Pillow warns from here on
MAX_BYTES: Final = 512 * 2**20
BROKEN: Final = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
"""What Pillow raises for a file that is damaged."""
_PIXEL: Final = 8  # bytes of a pixel that is stored plainly in 16 bits a channel
_TOO_LARGE: Final = "Make it smaller, or allow more with --max-pixels."
_TOO_LONG: Final = "Make it smaller; for training, data.max_bytes allows more."
_MODULES: Final = re.compile(r"PIL\.|i2i\.(images|metadata)$")
_OTHERS: Final = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)  # which say nothing of the image
_EVERY: Final = ("always", None, Warning, _MODULES, 0)  # as the module warnings keeps its filters


class ImageWarning(UserWarning):
    """What is wrong with an image file that is used all the same, such as damaged metadata."""


@final
class _Listener:
    """Stands before what shows warnings: takes those of a thread that opens an image, passes on all others."""

    def __init__(self, beyond: Callable[..., None], thread: threading.local) -> None:
        self._beyond = beyond
        self._thread = thread

    def __call__(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *more: Any, **named: Any
    ) -> None:
        heard: list[str] | None = getattr(self._thread, "heard", None)
        ours = _MODULES.match(module := _module(filename))
        if ours and heard is not None and not issubclass(category, _OTHERS):
            heard.append(" ".join(str(message).split()))
            return
        if ours:
            action = _action(str(message), category, module, lineno)
            if action == "error":
                raise message if isinstance(message, Warning) else category(message)
            if action == "ignore":
                return
        self._beyond(message, category, filename, lineno, *more, **named)


def _module(filename: str) -> str:
    """The name of a module of Pillow's or of ours by its file."""
    found = re.search(r"(?:^|[/\\])((?:PIL|i2i)[/\\].+)\.py$", filename)
    return re.sub(r"[/\\]", ".", found[1]) if found else ""


def _action(text: str, category: type[Warning], module: str, line: int) -> str:
    """What the program's own filters, which stand behind ours, would have done."""
    for each in warnings.filters:
        action, message, wanted, place, at = each
        if each == _EVERY or not issubclass(category, wanted) or at not in (0, line):
            continue
        if (message is None or message.match(text)) and (place is None or place.match(module)):
            return action
    return "default"


@final
class _Pillow:
    """What is Pillow's and Python's, and so the process's: the limit on pixels, and where warnings go.

    The limit is raised for as long as an image is read that may be larger. Warnings are listened to from the first
    image on: to stop after it would put back, in one thread, what another one has changed in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[int] = []
        self._own: int | None = None
        self._thread = threading.local()

    @contextmanager
    def reading(self, pixels: int) -> Iterator[list[str]]:
        """Lets images of so many pixels be opened, in any number of threads; yields what this one is warned of."""
        with self._lock:
            if not self._wanted:
                self._own = Image.MAX_IMAGE_PIXELS
            self._wanted.append(pixels)
            self._set()
            self._listen()
        before = getattr(self._thread, "heard", None)
        heard: list[str] = []
        self._thread.heard = heard
        try:
            yield heard
        finally:
            self._thread.heard = before
            with self._lock:
                self._wanted.remove(pixels)
                self._set()

    def _set(self) -> None:
        Image.MAX_IMAGE_PIXELS = None if self._own is None else max(self._own, *self._wanted, 0)

    def _listen(self) -> None:
        if not isinstance(warnings.showwarning, _Listener):
            warnings.showwarning = _Listener(warnings.showwarning, self._thread)
        if next(iter(warnings.filters), None) != _EVERY:  # else the second file with the same fault would say nothing
            warnings.filterwarnings("always", module=_MODULES.pattern)


_pillow: Final = _Pillow()


@contextmanager
def opening(
    source: Path | IO[bytes],
    where: str,
    max_pixels: int = MAX_PIXELS,
    *,
    max_bytes: int | None = None,
    heard: Callable[[str], None] | None = None,
) -> Iterator[ImageFile.ImageFile]:
    """Yields the image as Pillow opens it: its header is read, its pixels are not.

    max_bytes: of the file; None: 512 MiB, or 8 for each pixel that is allowed. heard: called with each warning of
    Pillow's at the end; None: it becomes an ImageWarning about `where`. Errors, inside too, become ImageError about
    `where`, for anything that is no file of an image of an allowed format and size.
    """
    limit = max(MAX_BYTES, _PIXEL * max_pixels) if max_bytes is None else max_bytes
    try:
        with ExitStack() as held:
            said = held.enter_context(_pillow.reading(max_pixels))
            file = held.enter_context(_file(source, where)) if isinstance(source, Path) else source
            _check_length(file, where, limit)
            opened = held.enter_context(Image.open(file, formats=FORMATS))
            width, height = opened.size
            if width * height > max_pixels:
                raise ImageError(f"{where}: {width} x {height} pixels, over the limit of {max_pixels:,}", _TOO_LARGE)
            if width < 1 or height < 1:
                raise ImageError(f"{where}: {width} x {height} pixels: there is nothing in it", "Remove it.")
            yield opened
    except UnidentifiedImageError:
        raise ImageError(f"{where}: not an image that can be read", f"Readable: {', '.join(FORMATS)}.") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{where}: claims more pixels than the limit of {max_pixels:,}", _TOO_LARGE) from None
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ImageError(f"{where}: {error.strerror}") from None
    except MemoryError:
        raise ImageError(f"{where}: does not fit into memory", "Make it smaller.") from None
    except BROKEN as error:
        raise ImageError(f"{where}: broken: {error}", "Restore the file or remove it.") from None
    for text in dict.fromkeys(said):
        if heard is None:
            warnings.warn(f"{where}: {text}", ImageWarning, stacklevel=4)
        else:
            heard(text)


def _file(path: Path, where: str) -> IO[bytes]:
    """The open file; raises ImageError for what is none, and would be waited for without end: a pipe, a device."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise ImageError(f"{where}: no file, but a pipe or a device", "Remove it.")


def _check_length(file: IO[bytes], where: str, limit: int) -> None:
    here = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(here)
    if length > limit:
        raise ImageError(f"{where}: {length:,} bytes, over the limit of {limit:,}", _TOO_LONG)
