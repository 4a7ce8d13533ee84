"""The report of a run that is being trained, for a browser on this machine; nobody else is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

from i2i.report.page import page
from i2i.report.told import tell

if TYPE_CHECKING:
    from pathlib import Path

    from i2i.training.run import Run

PORT: Final = 8765
_TRIED: Final = 20  # ports from the first on
_PACE: Final = 1.0  # seconds between builds at least
_LOOKING: Final = 6.0  # seconds since a page asked, within which it is taken to be open
_LAST: Final = 5.0  # seconds at most that the last state is waited to be fetched


@contextmanager
def watching(run: Run, said: Callable[[str], None], port: int = PORT) -> Iterator[str]:
    """Serves the run's report on 127.0.0.1 while the block runs, at `port` or the next one that is free.

    Yields its address, which `said` is told too. A page that is open when the block ends gets the last state. What goes
    wrong here is said and disturbs nobody.
    """
    server = _server(_Watched(run), port)
    if server is None:
        said(f"--watch: no port from {port} to {port + _TRIED - 1} is free; the report is not served")
        yield ""
        return
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    threading.Thread(target=server.serve_forever, name="i2i-watch", daemon=True).start()
    said(f"watch it: {address}")
    try:
        yield address
    finally:
        server.watched.finish()
        server.shutdown()
        server.server_close()


class _Watched:
    """A run's report, built when its files have changed and somebody asks."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._page, self._built, self._at = b"", "", 0.0
        self._asked = 0.0

    def state(self) -> str:
        """What changes with the run's files."""
        self._asked = time.monotonic()
        return self._version()

    def report(self) -> bytes:
        """The report as it is now, or was a second ago."""
        with self._lock:
            self._asked = time.monotonic()
            version = self._version()
            if version != self._built and (not self._page or time.monotonic() - self._at > _PACE):
                self._at = time.monotonic()
                try:
                    self._page, self._built = page(tell(self._run), version=version, live=True).encode(), version
                except Exception:  # a page that is open keeps what it has, and asks again
                    if not self._page:
                        raise
            return self._page

    def finish(self) -> None:
        """Waits a little for a page that is open to fetch the last state."""
        begun = time.monotonic()
        while self._asked > begun - _LOOKING and self._built != self._version() and time.monotonic() - begun < _LAST:
            time.sleep(0.1)

    def _version(self) -> str:
        files: list[Path] = [self._run.path / "run.json", self._run.metrics, self._run.samples, self._run.evaluation]
        files += [path for stage in _below(self._run.stages) for path in (stage / "run.json", stage / "metrics.jsonl")]
        marks = []
        for path in files:
            with suppress(OSError):
                about = path.stat()
                marks.append(f"{about.st_mtime_ns:x}.{about.st_size:x}")
        return "-".join(marks)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], watched: _Watched) -> None:
        self.watched = watched
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        """Answers `/` and `/state`."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """The same without the body."""
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal is the training's."""

    def _answer(self, *, body: bool) -> None:
        name = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if name not in ("127.0.0.1", "localhost"):  # a page elsewhere whose name was made to lead here
            self.send_error(421)
            return
        if self.path not in ("/", "/state"):
            self.send_error(404)
            return
        try:
            content = self.server.watched.report() if self.path == "/" else self.server.watched.state().encode()
        except Exception as error:  # a file that is just being replaced, at worst a fault of the report: ask again
            content = f"the report cannot be built now: {error}".encode()
            self._send(503, "text/plain", content, body=body)
            return
        self._send(200, "text/html" if self.path == "/" else "text/plain", content, body=body)

    def _send(self, status: int, kind: str, content: bytes, *, body: bool) -> None:
        self.send_response(status)
        for header, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(header, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


def _server(watched: _Watched, port: int) -> _Server | None:
    for number in range(port, port + _TRIED) if port else (0,):
        with suppress(OSError):
            return _Server(("127.0.0.1", number), watched)
    return None


def _below(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []
