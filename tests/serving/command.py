"""A real `i2i serve` in a process of its own, as tests and benchmarks start it; other tools load it by its path."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

ADDRESS = re.compile(r"http://(\[[0-9a-f:]+\]|[\w.]+):(\d+)")
PATIENCE = 60.0  # seconds to start or to stop, on a machine that is busy with other tests


class Command:
    """`i2i serve WORDS` on a free port of this machine, ready to answer; ended where the `with` block ends."""

    def __init__(
        self,
        folder: Path,
        *words: str | Path,
        env: dict[str, str] | None = None,
        program: Sequence[str] = ("-m", "i2i"),
    ) -> None:
        self._said, self._printed = folder / "serve.log", folder / "serve.out"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("I2I_")}
        command = [sys.executable, *program, "serve", *map(str, words), "--port", "0"]
        self.started = time.perf_counter()
        with self._said.open("wb") as log, self._printed.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env={**kept, **(env or {})}, cwd=folder
            )
        try:
            self.host, self.port = self._address()
            while self.get("/v2/health/ready") != 200:
                self._wait()
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise
        self.seconds = time.perf_counter() - self.started  # from the start to ready

    def __enter__(self) -> Command:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process.poll() is None:
            self.stop()

    @property
    def url(self) -> str:
        """Like `http://127.0.0.1:43210`."""
        return f"http://{self.host}:{self.port}"

    @property
    def said(self) -> str:
        """All that it wrote to stderr so far."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    @property
    def printed(self) -> str:
        """All that it wrote to stdout so far."""
        return self._printed.read_text(encoding="utf-8", errors="replace")

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def memory(self, kind: str = "VmRSS") -> int:
        """Bytes that are resident, or were at most, `VmHWM`; Linux."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return 1024 * int(status.partition(f"{kind}:")[2].split()[0])

    def connect(self, timeout: float = PATIENCE) -> socket.socket:
        """A connection, on which anything can be sent."""
        return socket.create_connection((self.host.strip("[]"), self.port), timeout)

    def get(self, path: str) -> int | None:
        """The status of an answer; None: there was none."""
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (ConnectionError, http.client.BadStatusLine):
            return None
        finally:
            connection.close()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Asks it to stop, as a service manager does, or as Ctrl-C with SIGINT."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to stop, and waits: its exit status."""
        self.terminate(number)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _address(self) -> tuple[str, int]:
        while True:
            found = ADDRESS.search(self.said)
            if found:
                return found[1], int(found[2])
            self._wait()

    def _wait(self) -> None:
        assert self.alive, self.said
        assert time.perf_counter() - self.started < PATIENCE, self.said
        time.sleep(0.005)
