"""Memory that is waited for: no more pixels are held at a time than there is room for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import final


@final
class Room:
    """Room for so many pixels; what is larger has all of it to itself. Used on one event loop.

    small: pixels up to which an image waits for no other: what is large and waits would hold it up.
    """

    def __init__(self, pixels: int, small: int = 0) -> None:
        self._all = pixels
        self._small = small
        self._left = pixels
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many images wait."""
        return len(self._waiting)

    @asynccontextmanager
    async def taken(self, pixels: int) -> AsyncIterator[None]:
        """Waits, in turn, until there is room for the pixels, and has it for the block."""
        if pixels <= self._small:
            yield
            return
        pixels = min(pixels, self._all)
        turn = pixels, asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn[1]
            yield
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
            else:
                self._left += pixels
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._left:
            pixels, admitted = self._waiting.popleft()
            self._left -= pixels
            if not admitted.done():
                admitted.set_result(None)
