"""Request bodies: read with a limit on bytes and on time, counted while they come, and taken apart in memory."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from i2i.serving import exchange
from i2i.serving.errors import BusyError, TooLargeError
from i2i.serving.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import TypeVar

    from starlette.requests import Request

    _T = TypeVar("_T")

_SMALL: Final = 2**16  # bytes; of requests that have sent no more, there may be any number
_SLOWEST: Final = 2**14  # bytes per second, less than any network that images are sent over
_PATIENCE: Final = 10.0  # seconds, before that is asked
_OVERHEAD: Final = 2**16  # bytes that a form has beside its file
_STALLED: Final = 1.0  # seconds without as much as the slowest may send in them, after which a place may be lost
_WINDOW: Final = (16 + zlib.MAX_WBITS, zlib.MAX_WBITS)


class Uploads:
    """Places of the larger bodies that are in memory, so that many together do not fill it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: set[Place] = set()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place that a body may take when it has shown that it comes, and has until the block ends."""
        place = Place(self)
        try:
            yield place
        finally:
            self._taken.discard(place)

    def take(self, place: Place) -> None:
        """Takes a place, if need be that of the upload which has stalled longest; raises BusyError if none has."""
        if place in self._taken:
            return
        if len(self._taken) >= self._most:
            stalled = [each for each in self._taken if each.has_stalled]
            if not stalled:
                raise BusyError("as many uploads as may be at once are being read", retry_after=1.0)
            slowest = min(stalled, key=lambda each: each.since)
            slowest.end()
            self._taken.discard(slowest)
        self._taken.add(place)


class Place:
    """One of `Uploads`."""

    def __init__(self, uploads: Uploads) -> None:
        self.since = time.monotonic()  # when it last had sent enough not to be called stalled
        self.waiting: asyncio.Timeout | None = None  # for the next piece, while the body is read
        self._uploads = uploads
        self._owed = 0.0  # bytes until then

    @property
    def has_stalled(self) -> bool:
        """Whether a second passed in which less came than the slowest connection brings."""
        return self.waiting is not None and time.monotonic() - self.since > _STALLED

    def take(self) -> None:
        """Takes it, if that was not done; raises BusyError if none is free."""
        self._uploads.take(self)

    def got(self, size: int) -> None:
        """Takes note that bytes came."""
        self._owed -= size
        if self._owed <= 0:
            self.since, self._owed = time.monotonic(), _STALLED * _SLOWEST

    def end(self) -> None:
        """Gives the upload up."""
        if self.waiting is not None and not self.waiting.expired():
            self.waiting.reschedule(asyncio.get_running_loop().time())


async def read(request: Request, most: int, place: Place, deadline: float) -> bytes:
    """The body, of at most `most` bytes; a large one takes the place.

    What Content-Length says can refuse a body, and is never believed otherwise. A client that sends less than 16 KiB
    a second after the first ten seconds is given up, or after the first one where others wait for its place.
    deadline: of time.monotonic(). Raises TooLargeError, BusyError and ProblemError; ClientDisconnect where the client
    is gone.
    """
    said = request.headers.get("content-length")
    if said is not None and ((length := exchange.length(said)) is None or length > most):
        raise _too_large(most)
    started = time.monotonic()
    body = bytearray()
    stream = request.stream()
    while True:
        allowed = min(deadline, started + _PATIENCE + len(body) / _SLOWEST)
        try:
            async with asyncio.timeout(allowed - time.monotonic()) as place.waiting:
                piece = await anext(stream, None)
        except TimeoutError:
            raise ProblemError(
                408, f"the body came too slowly: {len(body)} bytes in {time.monotonic() - started:.0f} s",
                "Send it again, over a faster connection.", Connection="close",
            ) from None  # fmt: skip
        finally:
            place.waiting = None
        if piece is None:
            return bytes(body)
        body += piece
        place.got(len(piece))
        if len(body) > most:
            raise _too_large(most)
        if len(body) > _SMALL:
            place.take()


async def unless_gone(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` returns; it is cancelled when the client goes away, and ClientDisconnect raised."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def expand(body: bytes, coding: str, most: int) -> bytes:
    """A body that came in the content coding `gzip` or `deflate`, of at most `most` bytes when expanded.

    Raises TooLargeError, and ProblemError for another coding or damaged data.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "deflate"):
        raise ProblemError(415, f"Content-Encoding '{coding[:40]}' is not known", "Send it as gzip, deflate or plain.")
    decoder = zlib.decompressobj(_WINDOW[coding == "deflate"])
    try:
        whole = decoder.decompress(body, most + 1)
        if not decoder.eof and len(whole) <= most:
            raise zlib.error
    except zlib.error:
        raise ProblemError(400, f"the body is not whole {coding} data") from None
    if len(whole) > most:
        raise _too_large(most)
    return whole


def form_limit(most: int) -> int:
    """The bytes that a form with a file of `most` bytes may have."""
    return most + _OVERHEAD


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"the body is larger than {most} bytes", "Send a smaller image, or raise --max-bytes.")
