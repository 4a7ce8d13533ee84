"""A connection that does not wait for slow clients for ever, and does not keep good ones out for them."""

from __future__ import annotations

import http
import socket
import time
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from i2i.serving import exchange

if TYPE_CHECKING:
    import asyncio

_HEADERS: Final = 10.0  # seconds for a request's headers
_LINGER: Final = 5.0  # seconds in which the rest of a refused body is still read: a client reads no answer before
_STRANGER: Final = 0.5  # seconds of the same for who has no token
_STALLED: Final = 10.0  # seconds between looks at how much a client has taken of an answer
_SLOWEST: Final = 2**14  # bytes of it that a client must take per second, or all
_MOST: Final = 500  # connections, well below the 1,024 files that a process may usually open


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1, by h11, with limits on the time that headers, refused bodies and answers take."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for headers; of too many connections, that for which the server has waited longest is closed.

        Where the server waits for none, since it computes for each, it is the new one.
        """
        super().connection_made(transport)
        self._aborted = False
        # Without it the second piece of an answer waits for the client's word that it has the first: 40 ms. asyncio
        # sets it on sockets that say which protocol they speak, which those of socket.create_server do not.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(0)  # so that pause_writing tells of every answer that is not taken at once
        self._since = time.monotonic()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._begin("headers", _HEADERS)
        if len(self.connections) > _MOST:
            self._make_room()

    @property
    def is_waiting(self) -> bool:
        """Whether no whole headers have come since the last request was answered."""
        return self.conn.their_state is h11.IDLE

    @property
    def is_sending(self) -> bool:
        """Whether it is the client's turn: to send a request, its body, or what is left of a refused one."""
        return self.is_waiting or self.conn.their_state is h11.SEND_BODY

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
        self._since = time.monotonic()
        if self.conn.their_state is h11.SEND_BODY:
            stranger = exchange.status(self.cycle.scope) == http.HTTPStatus.UNAUTHORIZED
            self._begin("rest", _STRANGER if stranger else _LINGER)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Watches that the client takes its answer."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has taken all there was."""
        self._end("answer")
        super().resume_writing()

    def _make_room(self) -> None:
        there = [each for each in self.connections if isinstance(each, Connection) and not each._aborted]
        if len(there) > _MOST:
            waited_for = [each for each in there if each is not self and each.is_sending]
            min(waited_for, key=lambda each: each._since, default=self)._abort()

    def _watch(self, left: int) -> None:
        self._end("answer")
        self._timers["answer"] = self.loop.call_later(_STALLED, self._check, left)

    def _check(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if before - left < _STALLED * _SLOWEST:
            self._abort()
        else:
            self._watch(left)

    def _begin(self, name: str, seconds: float) -> None:
        self._end(name)
        self._timers[name] = self.loop.call_later(seconds, self._abort)

    def _abort(self) -> None:
        self._aborted = True
        self.transport.abort()

    def _end(self, name: str) -> None:
        timer: Any = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
