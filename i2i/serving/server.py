"""The server: its sockets, uvicorn, its log, and how it stops."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import uvicorn

from i2i.errors import I2IError
from i2i.serving import logs
from i2i.serving.app import create
from i2i.serving.connection import Connection
from i2i.serving.engine import Engine
from i2i.serving.models import open_models
from i2i.serving.observing import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from i2i.serving.limits import Limits
    from i2i.serving.settings import Settings

LogFormat = Literal["text", "json"]
_BACKLOG: Final = 128  # connections, which may all be there before the first of them is looked at
_NOTICE: Final = 1.0  # seconds for which a server that will stop says that it is not ready, and still answers
_TICK: Final = 0.05  # seconds between looks whether a second signal came
_THREADS: Final = ("i2i-lane", "i2i-codec")
_HEADERS: Final = 2**15  # bytes of a request's headers
_KEPT: Final = 30  # seconds that a connection stays open for another request


def serve(
    given: Sequence[str],
    settings: Settings,
    limits: Limits,
    *,
    device: str = "auto",
    log_format: LogFormat = "text",
    said: Callable[[str], None],
) -> None:
    """Serves the models until SIGTERM or Ctrl-C, then finishes what was accepted; `said` is told of the address.

    given: models as in `open_models`. A second signal ends the process at once; so does the first where, at the end,
    something is computed that nobody waits for any more. Raises I2IError.
    """
    with ExitStack() as stack:
        sockets = listen(settings.host, settings.port)
        for each in sockets:
            stack.callback(each.close)
        models = open_models(given, device)
        metrics = Metrics()
        engine = Engine(models, limits, metrics)
        stack.enter_context(_logging(log_format))
        address = _address(settings.host, sockets[0].getsockname()[1])
        line = f"serving {', '.join(models)} on {address}{settings.root_path}"
        server = Server(engine, settings, metrics, lambda: said(line))
        server.run(sockets)
        if any(thread.name.startswith(_THREADS) for thread in threading.enumerate()):
            _leave()  # Python would wait for them


class Server(uvicorn.Server):
    """uvicorn's, which tells when it is there, and ends well when it is told to."""

    def __init__(self, engine: Engine, settings: Settings, metrics: Metrics, ready: Callable[[], None]) -> None:
        self._app = create(engine, settings, metrics)
        config = uvicorn.Config(
            self._app, http=Connection, ws="none", loop="asyncio", lifespan="off",
            log_config=None, access_log=False, server_header=False, proxy_headers=False,
            timeout_keep_alive=_KEPT, timeout_graceful_shutdown=round(engine.limits.seconds) + 1,
            h11_max_incomplete_event_size=_HEADERS, backlog=_BACKLOG,
        )  # fmt: skip
        super().__init__(config)
        self._engine = engine
        self._ready = ready
        self._notice = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to answer, and says so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Says that it is not ready, then takes no more connections, and answers what was asked."""
        self._app.state.stopping = True
        end = time.monotonic() + self._notice
        while time.monotonic() < end and not self.force_exit:
            await asyncio.sleep(_TICK)
        finishing = asyncio.ensure_future(self._finish(sockets))
        while not (self.force_exit or finishing.done()):
            await asyncio.wait({finishing}, timeout=_TICK)
        if self.force_exit:
            _leave()
        await finishing

    async def _finish(self, sockets: list[socket.socket] | None) -> None:
        await super().shutdown(sockets)
        await self._engine.drain()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends at SIGTERM and Ctrl-C, with the exit status of what went well; only a main thread hears of them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: Any) -> None:
        """SIGTERM leaves time to hear that the server is not ready; who presses Ctrl-C needs none."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._notice = _NOTICE if number == signal.SIGTERM else 0.0


def _leave() -> NoReturn:
    """Ends the process without waiting for threads, which cannot be ended."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on a port, 0 for any free one, of each address that the host's name has.

    Raises I2IError where the address is not this machine's, or the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise I2IError(f"--host {host}: no such address", "Give one of this machine's, like 127.0.0.1.") from None
    sockets: list[socket.socket] = []
    failed: OSError | None = None
    for family, address in dict.fromkeys((each[0], each[4][:2]) for each in found):
        try:
            at = (address[0], port or (sockets[0].getsockname()[1] if sockets else 0))
            both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
            sockets.append(socket.create_server(at, family=family, backlog=_BACKLOG, dualstack_ipv6=both))
        except OSError as error:
            failed = error
    if not sockets:
        reason = os.strerror(failed.errno) if failed and failed.errno else str(failed)
        raise I2IError(
            f"{_address(host, port)}: {reason.lower()}", "Give another --port; 0 takes any that is free."
        ) from None
    return sockets


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _logging(form: LogFormat) -> Iterator[None]:
    """Lines on stderr while the server runs, in one form; of libraries, what they warn of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logs.Json() if form == "json" else logs.Text())
    root, own = logging.getLogger(), logging.getLogger(logs.LOGGER)
    level = own.level
    root.addHandler(handler)
    own.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        own.setLevel(level)
        root.removeHandler(handler)
