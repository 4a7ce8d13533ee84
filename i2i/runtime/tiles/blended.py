"""Images that do not fit, through a model whose pixels see all of them: overlapping windows that fade into another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

import numpy as np
from numpy.typing import NDArray

from i2i.artifact import INPUT
from i2i.errors import OutOfMemoryError
from i2i.images import Pixels

if TYPE_CHECKING:
    from i2i.runtime.session import Session
    from i2i.runtime.strips.rows import Source

_OVERLAP: Final = 4  # a window overlaps the next one by this part of its side


@final
class Blended:
    """A model that is run on windows, as if each were an image.

    side: pixels along the side of a window; half as many where memory does not suffice.
    """

    def __init__(self, session: Session, side: int) -> None:
        self._session = session
        self._side = side

    def rows(self, source: Source) -> Iterator[Pixels]:
        """Strips of the result, uint8 `[h, W*scale, C]`, from top to bottom; raises OutOfMemoryError.

        source: of a height and width that the model takes.
        """
        side = self._side
        while True:
            try:
                strips = self._faded(source, side)
                first = next(strips)
                break
            except (OutOfMemoryError, MemoryError):
                if side // 2 < max(self._session.description.multiple, self._session.description.minimum):
                    raise
                side //= 2
        yield first
        yield from strips

    def _faded(self, source: Source, side: int) -> Iterator[Pixels]:
        described = self._session.description
        scale, channels = described.scale, described.channels_out
        tops, height = _windows(source.height, side, described.multiple, described.minimum)
        lefts, width = _windows(source.width, side, described.multiple, described.minimum)
        down = _fade(tops, height, source.height, scale)
        across = _fade(lefts, width, source.width, scale)
        total: NDArray[np.float32] = np.zeros((height * scale, source.width * scale, channels), np.float32)
        for number, top in enumerate(tops):
            for left, weights in zip(lefts, across, strict=True):
                window = source.read(top, top + height, left, left + width)[None]
                promised = (1, height * scale, width * scale, channels)
                made = self._session.run({INPUT: window}, promised, f"{width} x {height} pixels")[0]
                weighed = made * (down[number][:, None] * weights[None, :])[..., None]
                total[:, left * scale : (left + width) * scale] += weighed
            done = (tops[number + 1] - top if number + 1 < len(tops) else height) * scale
            yield np.rint(total[:done]).clip(0, 255).astype(np.uint8)
            total[: len(total) - done] = total[done:]
            total[len(total) - done :] = 0


def _windows(length: int, side: int, multiple: int, minimum: int) -> tuple[list[int], int]:
    """Where windows begin, at multiples of `multiple`, and how long they are."""
    window = min(length, -(-max(side, minimum) // multiple) * multiple)
    step = max(multiple, (window - window // _OVERLAP) // multiple * multiple)
    return [*range(0, length - window, step), length - window], window


def _fade(starts: list[int], window: int, length: int, scale: int) -> list[NDArray[np.float32]]:
    """The weights of each window along an axis, `[window*scale]`: they rise and fall, and add up to 1 everywhere."""
    ramp = np.minimum(np.arange(window * scale) + 1, np.arange(window * scale, 0, -1)).astype(np.float32)
    sums = np.zeros(length * scale, np.float32)
    for start in starts:
        sums[start * scale : (start + window) * scale] += ramp
    return [ramp / sums[start * scale : (start + window) * scale] for start in starts]
