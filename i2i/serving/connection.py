"""A connection that does not wait for slow clients for ever, and does not keep good ones out for them."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

_HEADERS: Final = 10.0  # seconds for a request's headers
_LINGER: Final = 5.0  # seconds in which the rest of a refused body is still read: a client reads no answer before
_STALLED: Final = 20.0  # seconds in which a client must take something of an answer
_MOST: Final = 500  # connections, well below the 1,024 files that a process may usually open


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, by h11, with limits on the time that headers, refused bodies and answers take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for headers; of too many connections, that which has waited longest is closed."""
        super().connection_made(transport)
        # Without it the second piece of an answer waits for the client's word that it has the first: 40 ms. asyncio
        # sets it on sockets that say which protocol they speak, which those of socket.create_server do not.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(0)  # so that pause_writing tells of every answer that is not taken at once
        self._since = time.monotonic()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._begin("headers", _HEADERS)
        if len(self.connections) > _MOST:
            waiting = [each for each in self.connections if isinstance(each, Connection) and each.is_waiting]
            if waiting:
                min(waiting, key=lambda each: each._since).transport.abort()

    @property
    def is_waiting(self) -> bool:
        """Whether no whole request has come since the last one was answered."""
        return self.conn.their_state is h11.IDLE

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the limits."""
        for name in list(self._timers):
            self._end(name)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what came; headers that have begun must end."""
        super().data_received(data)
        if self.conn.their_state is not h11.SEND_BODY:
            self._end("rest")
        if not self.is_waiting:
            self._end("headers")
        elif "headers" not in self._timers:
            self._since = time.monotonic()
            self._begin("headers", _HEADERS)

    def on_response_complete(self) -> None:
        """Goes on with the next request; the rest of a body that nobody wanted is read for a while."""
        if self.conn.their_state is h11.SEND_BODY:
            self._begin("rest", _LINGER)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Watches that the client takes its answer."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has taken all there was."""
        self._end("answer")
        super().resume_writing()

    def _watch(self, left: int) -> None:
        self._end("answer")
        self._timers["answer"] = self.loop.call_later(_STALLED, self._check, left)

    def _check(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
        else:
            self._watch(left)

    def _begin(self, name: str, seconds: float) -> None:
        self._end(name)
        self._timers[name] = self.loop.call_later(seconds, self.transport.abort)

    def _end(self, name: str) -> None:
        timer: Any = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
