"""One training in several processes of this machine: starts them, and ends them together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, Final

import torch
import torch.distributed as dist

from i2i.training.world import LOST

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

LAUNCHED: Final = "I2I_LAUNCHED_BY"  # environment variable: the number of the process that has started this one
_RUN: Final = "i2i/run"  # key of the store: where the run is
_LOOK: Final = 0.05  # seconds between looks at the processes
_WATCH: Final = 1.0  # seconds between looks at whether the launcher is there
_SAME: Final = 2.0  # seconds in which the others may find what one has failed by, too
_PATIENCE: Final = 15.0  # seconds from SIGTERM to SIGKILL
_CONCLUDING: Final = 60.0  # seconds that the others may take when the first one is through
_FORWARDED: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
STOPPED: Final = frozenset(128 + number for number in _FORWARDED)  # exit statuses of a training that was told to stop


def together(arguments: Sequence[str], count: int, said: Callable[[str], None]) -> tuple[int, str | None]:
    """Runs `i2i` with `arguments` in `count` processes that train together, and waits for them.

    The first one has this process's stdout and stderr; what the others write goes to `said` if one fails first, and to
    nowhere else. SIGINT, SIGTERM and SIGUSR1 are passed on to all. When one fails the others are ended, by SIGKILL 15 s
    later at the latest. Returns an exit status, which is the first's, or that of what failed before it, 128 and the
    signal where it was one; and what the first one told `report_run`, if it did.
    """
    listening = socket.create_server(("127.0.0.1", 0))  # torch itself would listen to all the network
    port = listening.getsockname()[1]
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()
    )
    with ExitStack() as stack:
        processes: list[_Process] = []
        stack.callback(_end, processes)
        stack.enter_context(_forwarding(processes))
        for rank in range(count):
            said_by = None if rank == 0 else stack.enter_context(TemporaryFile())
            processes.append(_Process(rank, arguments, _environment(rank, count, port), said_by))
        status = _wait(processes, store, said)
    path = store.get(_RUN).decode() if store.check([_RUN]) else None
    return status, path


def report_run(path: Path) -> None:
    """Tells the launcher where the run is, from the first of its processes; elsewhere does nothing."""
    if LAUNCHED in os.environ and os.environ.get("RANK") == "0":
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(address, port, is_master=False)  # type: ignore[attr-defined]
        store.set(_RUN, str(path))


def watch_launcher() -> None:
    """Has this process stopped by SIGTERM, at which it saves, once its launcher is gone; without one does nothing."""
    text = os.environ.get(LAUNCHED)
    if text is not None:
        threading.Thread(target=_watch, args=(int(text),), name="i2i-launcher", daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_WATCH)
    os.kill(os.getpid(), signal.SIGTERM)


class _Process:
    """One of the processes; what it writes is kept in `said_by`, where that is given."""

    def __init__(
        self, rank: int, arguments: Sequence[str], environment: dict[str, str], said_by: BinaryIO | None
    ) -> None:
        self.rank = rank
        self._said_by = said_by
        self._sent: set[int] = set()
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "i2i", *arguments],
            env=environment,
            stdin=None if rank == 0 else subprocess.DEVNULL,
            stdout=said_by,
            stderr=None if said_by is None else subprocess.STDOUT,
            start_new_session=True,  # or Ctrl-C in a terminal would reach it twice
        )

    def status(self) -> int | None:
        """128 and the signal where one ended it; None while it runs."""
        code = self._popen.poll()
        return 128 - code if code is not None and code < 0 else code

    def killed_by(self) -> int | None:
        """The signal that ended it, if one has."""
        code = self._popen.poll()
        return -code if code is not None and code < 0 else None

    def failed(self) -> bool:
        """Whether it has ended without being through, or being told to."""
        code = self._popen.poll()
        if code is None or code == 0:
            return False
        return -code not in self._sent if code < 0 else code not in STOPPED

    def send(self, number: int) -> None:
        """Sends it a signal, where it still runs."""
        self._sent.add(number)
        self._popen.send_signal(number)

    def said(self) -> str:
        """What it has written."""
        if self._said_by is None:
            return ""
        self._said_by.seek(0)
        return self._said_by.read().decode(errors="replace").strip()


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    """torchrun's variables, and ours."""
    environment = {
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count)),
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": str(True),
        LAUNCHED: str(os.getpid()),
    }
    loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    if loopback is not None:  # they have nothing to say to other machines
        environment.setdefault("GLOO_SOCKET_IFNAME", loopback)
    return environment


@contextmanager
def _forwarding(processes: Sequence[_Process]) -> Iterator[None]:
    """Passes each signal on that asks this process to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def forward(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.send(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(processes: Sequence[_Process], store: Store, said: Callable[[str], None]) -> int:
    """Waits until all have ended, or ends them, and says what was wrong; returns the exit status."""
    failed: list[_Process] = []
    while not failed and any(process.status() is None for process in processes):
        time.sleep(_LOOK)
        failed = [process for process in processes if process.failed()]
        if processes[0].status() is not None and not failed:
            _watch_until(processes, _CONCLUDING)
            failed = [process for process in processes if process.failed()]
            break
    if not failed:
        _end(processes)
        status = processes[0].status()
        assert status is not None
        return status
    if not any(process.killed_by() for process in failed):
        _watch_until(processes, _SAME)
    failed += [process for process in processes if process.failed() and process not in failed]
    _end(processes)
    # Of those that ended by themselves, the one that did not end because another had.
    culprit = next((each for each in failed if not store.check([f"{LOST}/{each.rank}"])), failed[0])
    status, number = culprit.status(), culprit.killed_by()
    assert status is not None
    name = f"process {culprit.rank} of {len(processes)}"
    if number is not None:
        hint = ", often for want of memory" if number == signal.SIGKILL else ""
        said(f"{name} was ended by {signal.Signals(number).name}{hint}")
    elif processes[0] not in failed or store.check([f"{LOST}/0"]):  # or the first one has said what is wrong
        written = culprit.said()
        said(f"{name} ended with status {status}{f': {written}' if written else ''}")
    return status


def _watch_until(processes: Sequence[_Process], seconds: float) -> None:
    """Returns when all have ended, or after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(process.status() is None for process in processes):
        time.sleep(_LOOK)


def _end(processes: Sequence[_Process]) -> None:
    """Ends those that still run: by SIGTERM, and after a time by SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        running = [process for process in processes if process.status() is None]
        for process in running:
            process.send(number)
        _watch_until(running, _PATIENCE)
