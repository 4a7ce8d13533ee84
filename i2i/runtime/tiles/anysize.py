"""Images of any size through a model: whole where memory suffices, otherwise in pieces."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, final

import numpy as np

from i2i.artifact import INPUT
from i2i.errors import ArtifactError, OutOfMemoryError
from i2i.images import Pixels
from i2i.runtime.model.find import read_description
from i2i.runtime.model.onnxgraph import Graph
from i2i.runtime.strips.rows import ArraySource
from i2i.runtime.tiles.blended import Blended
from i2i.runtime.tiles.reach import NotLocalError
from i2i.runtime.tiles.stages import Plan
from i2i.runtime.tiles.tiled import OVERHEAD, Tiled

if TYPE_CHECKING:
    from i2i.runtime.session import Session
    from i2i.runtime.strips.rows import Source

Tile = int | Literal["auto", "off"]
_REMEMBERED: Final = 256  # sizes of which it is known whether they fit
_SHARE: Final = 0.5  # of the free memory, for a run on a whole image
_UNKNOWN: Final = 1024  # bytes for each pixel, of a model that cannot be looked into
_HINT: Final = "Leave out --tile off, or use another --device."
_LARGEST: Final = 1024  # pixels along the side of a window of such a model
_SMALL: Final = 512 * 512  # pixels for which a model that does not say what it takes is not asked


@final
class AnySize:
    """A model for images of any height and width.

    tile: pixels along the side of the pieces, "auto": pieces only where the whole does not fit, and as large as does;
    "off": never pieces.
    """

    def __init__(self, session: Session, tile: Tile = "auto") -> None:
        self._session = session
        self._tile: Tile = tile
        self._path = Path(session.name).absolute()
        self._decided: dict[tuple[int, int, int], bool] = {}  # of so many images of that size, whether at once
        self._deciding = Lock()

    def __call__(self, pixels: Pixels) -> Pixels:
        """Images `[N, H, W, C]` to `[N, H*scale, W*scale, C]`; raises OutOfMemoryError."""
        images, height, width, _ = pixels.shape
        if self._at_once(images, height, width):
            try:
                return self._whole(pixels)
            except (OutOfMemoryError, MemoryError) as error:
                if self._tile == "off":
                    raise OutOfMemoryError(f"{width} x {height} pixels do not fit into memory", _HINT) from error
                self._remember((images, *self._padded(height, width)), False)
        return np.stack([np.concatenate(list(self._pieces(ArraySource(image)))) for image in pixels])

    def rows(self, source: Source) -> Iterator[Pixels]:
        """Strips `[h, W*scale, C]` of an image's translation, from top to bottom; raises OutOfMemoryError."""
        if self._at_once(1, source.height, source.width):
            yield self(source.read(0, source.height, 0, source.width)[None])[0]
        else:
            yield from self._pieces(source)

    def approximate(self, width: int, height: int) -> str | None:
        """Why the translation of an image of this size only comes near that of the whole; None: it is the same."""
        if self._at_once(1, height, width):
            return None
        said = self._session.description
        if self._plan is not None and said.precision == "int8" and said.statistics == "image":
            return (
                f"{width} x {height} pixels are translated in pieces; in int8 with instance norm these are as far from "
                "the whole as int8 is from fp32"
            )
        if self._plan is not None:
            return None
        return (
            f"{width} x {height} pixels do not fit into memory at once, and each pixel that this model makes depends "
            "on the whole image: it is translated in overlapping windows, which is an approximation"
        )

    @cached_property
    def _plan(self) -> Plan | None:
        """How the graph can be cut; None where its pixels see all of the image."""
        described = self._session.description
        try:
            with self._path.open("rb") as file:
                model = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise ArtifactError(
                f"{self._path}: cannot be read again: {error.strerror}", "Load the model again."
            ) from None
        if read_description(self._path).digest != described.digest:
            raise ArtifactError(f"{self._path}: is another model than when it was opened", "Load the model again.")
        try:
            plan = Plan(Graph.read(model), described.channels_in)
        except (NotLocalError, ValueError, IndexError):
            return None
        return plan if described.multiple % plan.stride == 0 else None

    def _at_once(self, images: int, height: int, width: int) -> bool:
        """Whether images of a size are to be translated whole; decided once for each size."""
        tall, wide = self._padded(height, width)
        if isinstance(self._tile, int):
            return max(tall, wide) <= self._tile
        if self._tile == "off":
            return True
        size = images, tall, wide
        with self._deciding:
            known = self._decided.get(size)
        return self._remember(size, self._fits(images * tall * wide)) if known is None else known

    def _remember(self, size: tuple[int, int, int], fits: bool) -> bool:
        """Keeps a decision, and as many of the last ones as are kept: a server's sizes are chosen by strangers."""
        with self._deciding:
            self._decided[size] = fits
            while len(self._decided) > _REMEMBERED:
                del self._decided[next(iter(self._decided))]
        return fits

    def _fits(self, pixels: int) -> bool:
        memory = self._session.description.memory
        if not memory:
            if pixels <= _SMALL:
                return True
            memory = self._plan.bytes if self._plan is not None else _UNKNOWN
        return pixels * memory * OVERHEAD <= _SHARE * self._session.free_memory()

    def _whole(self, pixels: Pixels) -> Pixels:
        """Pads `[N, H, W, C]` by reflection to a size that the model takes, translates, and crops.

        Only the bottom and the right are padded, so that the model's grid lies on the image as in training. An image
        smaller than the padding is reflected again and again; one pixel is repeated.
        """
        images, height, width, _ = pixels.shape
        described = self._session.description
        tall, wide = self._padded(height, width)
        if (tall, wide) != (height, width):
            pixels = np.pad(pixels, ((0, 0), (0, tall - height), (0, wide - width), (0, 0)), mode="reflect")
        promised = (images, tall * described.scale, wide * described.scale, described.channels_out)
        translated = self._session.run({INPUT: np.ascontiguousarray(pixels)}, promised, f"{wide} x {tall} pixels")
        return np.ascontiguousarray(translated[:, : height * described.scale, : width * described.scale])

    def _pieces(self, source: Source) -> Iterator[Pixels]:
        """The strips of an image, padded as `_whole` does, and cropped."""
        scale = self._session.description.scale
        padded = _Padded(source, *self._padded(source.height, source.width))
        plan = self._plan
        model: Tiled | Blended
        if plan is not None:
            model = Tiled(self._session, plan, self._tile if isinstance(self._tile, int) else None)
        else:
            model = Blended(self._session, self._tile if isinstance(self._tile, int) else self._window())
        left = source.height * scale
        for strip in model.rows(padded):
            if left > 0:
                yield np.ascontiguousarray(strip[:left, : source.width * scale])
            left -= len(strip)

    def _window(self) -> int:
        """Pixels along the side of a window, of a model that cannot be looked into."""
        fitting = math.isqrt(int(_SHARE * self._session.free_memory() / (_UNKNOWN * OVERHEAD)))
        return max(1, min(_LARGEST // self._session.description.scale, fitting))

    def _padded(self, height: int, width: int) -> tuple[int, int]:
        described = self._session.description
        multiple, minimum = described.multiple, described.minimum
        tall, wide = (-(-max(side, minimum) // multiple) * multiple for side in (height, width))
        return tall, wide


@final
class _Padded:
    """An image with reflected pixels below and to the right of it, as `numpy.pad` makes them."""

    def __init__(self, source: Source, height: int, width: int) -> None:
        self._source = source
        self.height = height
        self.width = width
        self.channels = source.channels

    def read(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """The window as uint8 `[bottom - top, right - left, channels]`."""
        source = self._source
        if bottom <= source.height and right <= source.width:
            return source.read(top, bottom, left, right)
        rows, columns = _reflected(top, bottom, source.height), _reflected(left, right, source.width)
        held = source.read(rows.min(), rows.max() + 1, columns.min(), columns.max() + 1)
        return np.ascontiguousarray(held[np.ix_(rows - rows.min(), columns - columns.min())])


def _reflected(begin: int, end: int, length: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Which of `length` elements stand at `begin` to `end`, where they go to and fro without repeating the last one."""
    period = max(1, 2 * (length - 1))
    at = np.arange(begin, end) % period
    return np.minimum(at, period - at) if length > 1 else np.zeros(end - begin, np.intp)
