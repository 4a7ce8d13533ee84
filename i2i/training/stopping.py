"""Ctrl-C, SIGTERM and SIGUSR1 as a wish that is granted between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGUSR1") if name in signal.Signals.__members__
)
"""What is understood as a wish to stop; schedulers can be told to send SIGUSR1 before the time is up."""


class Signalled(KeyboardInterrupt):
    """One of the `SIGNALS` other than SIGINT, where it ends what is going on at once."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.signal = number


def signal_of(interrupt: KeyboardInterrupt) -> signal.Signals:
    """The signal by which something was interrupted."""
    return interrupt.signal if isinstance(interrupt, Signalled) else signal.SIGINT


class Stop:
    """Whether someone wishes to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None


@contextmanager
def stopping(heard: Callable[[], None]) -> Iterator[Stop]:
    """Turns the first of `SIGNALS` into a wish, and calls `heard`; a second one acts as it always does."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def wish(number: int, frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number)
        restore()
        heard()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, wish)
    try:
        yield stop
    finally:
        restore()


@contextmanager
def terminable() -> Iterator[None]:
    """Makes the other `SIGNALS` raise a KeyboardInterrupt, as SIGINT does, so that what is begun can be cleaned up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS if number != signal.SIGINT}

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Signalled(signal.Signals(number))

    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
