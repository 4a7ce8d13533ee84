"""How an image is cut into pieces of one size, which overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Along an axis: a window from `start` on, of which `begin` to `end` is what it is for."""

    begin: int
    end: int
    start: int


@dataclass(frozen=True)
class Axis:
    """An axis of `length` pixels in windows of one size: `side` pixels and, on both sides, the `halo`.

    Windows begin at multiples of `align`, of which `length` is one. Those at an edge of the image end there: what a
    network does at an edge, it does there, as it does to the whole image.
    """

    length: int
    side: int
    halo: int
    align: int

    @property
    def window(self) -> int:
        """Pixels of a window."""
        return min(self.length, _up(self.side, self.align) + 2 * _up(self.halo, self.align))

    def piece(self, begin: int) -> Piece:
        """The piece that is for the pixels from `begin` on, a multiple of `align`."""
        halo = _up(self.halo, self.align)
        start = min(max(0, begin - halo), self.length - self.window)
        last = start + self.window == self.length
        return Piece(begin, self.length if last else start + self.window - halo, start)

    def pieces(self) -> Iterator[Piece]:
        """All of them, in order: what they are for covers the axis once."""
        begin = 0
        while begin < self.length:
            piece = self.piece(begin)
            yield piece
            begin = piece.end


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
