"""Where images wait between threads: for memory, and for others of their shape."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import TYPE_CHECKING, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")
Shape = tuple[int, int]  # height and width


class ClosedError(Exception):
    """Nothing more is to be done: the run has ended."""


@final
class Budget:
    """An amount of which each taker has a part until it gives it back; one that wants more than all gets all."""

    def __init__(self, amount: int) -> None:
        self._amount = self._left = amount
        self._closed = False
        self._changed = Condition()

    def take(self, wanted: int) -> int:
        """Waits until that much is left, and says how much was taken; raises ClosedError."""
        part = min(wanted, self._amount)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._left >= part)
            if self._closed:
                raise ClosedError
            self._left -= part
        return part

    def give_back(self, part: int) -> None:
        """Returns what `take` said."""
        with self._changed:
            self._left += part
            self._changed.notify_all()

    def close(self) -> None:
        """Wakes all who wait, by ClosedError."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


@final
class Ready(Generic[Item]):
    """Items that wait to be taken: the oldest, together with others of its shape."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Shape, Item]] = deque()
        self.closed = False
        self._changed = Condition()

    def put(self, shape: Shape, item: Item) -> None:
        """Adds an item."""
        with self._changed:
            self._waiting.append((shape, item))
            self._changed.notify()

    def take(self, most: Callable[[int, int], int]) -> list[Item]:
        """Waits for an item, and takes it with others of its shape, of which `most` says how many; or ClosedError."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._waiting)
            if self.closed:
                raise ClosedError
            shape, _ = self._waiting[0]
            limit = most(*shape)
            taken: list[Item] = []
            others: deque[tuple[Shape, Item]] = deque()
            for waiting in self._waiting:
                if waiting[0] == shape and len(taken) < limit:
                    taken.append(waiting[1])
                else:
                    others.append(waiting)
            self._waiting = others
            return taken

    def close(self) -> None:
        """Wakes all who wait, by ClosedError; what waits is dropped."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
