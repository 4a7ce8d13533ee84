"""Sources as pixels: decoded when they are asked for, brought to a size, and kept while they fit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from i2i import images
from i2i.config import DataConfig
from i2i.data.cache import Cache
from i2i.data.sources import Source
from i2i.errors import DataError
from i2i.images import Pixels

Bring = Callable[[Source], tuple[Pixels, ...]]
"""From a source to uint8 `[H, W, C]`, one for each image that it holds; raises DataError."""


class Decoded:
    """The images of one split in a fixed order, each source brought to pixels by `bring`."""

    def __init__(self, sources: Iterable[Source], bring: Bring, cache: Cache) -> None:
        self.sources = list(sources)
        self._bring = bring
        self._cache = cache

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def names(self) -> list[str]:
        """What each source is called: its path within the split without the suffix."""
        return [source.name for source in self.sources]

    def read(self, index: int) -> tuple[Pixels, ...]:
        """The pixels of source `index`, read-only; raises DataError, which names the file, where it cannot be used."""
        source = self.sources[index]
        return self._cache.get((source, self._bring), lambda: self._bring(source))

    def chosen(self, indices: Sequence[int]) -> Decoded:
        """Those of `indices`, in that order."""
        return Decoded([self.sources[index] for index in indices], self._bring, self._cache)

    def without(self, indices: Collection[int]) -> Decoded:
        """All but those of `indices`."""
        return self.chosen([index for index in range(len(self)) if index not in indices])


def bring_one(config: DataConfig, channels: int, side: int) -> Bring:
    """Brings single images to `side` by `config.fit`, with `channels` channels."""

    def bring(source: Source) -> tuple[Pixels]:
        (image,) = source.open(config.max_bytes)
        if config.fit == "none":
            check_large(source.name, image.size, config.size)
        height, width = fitted(image.size, config.fit, side)
        return (images.resize(images.to_pixels(image, channels), height, width),)

    return bring


def fitted(size: tuple[int, int], fit: str, side: int) -> tuple[int, int]:
    """Height and width of an image of (width, height) `size`: a square (stretch), its shorter side (scale), or as is.

    `side` is `DataConfig.resized` for training, which cuts from it, and `DataConfig.size` for evaluation.
    """
    if fit == "stretch":
        return side, side
    width, height = size
    if fit == "none":
        return height, width
    shorter = min(size)
    return round(height * side / shorter), round(width * side / shorter)


def check_large(name: str, size: tuple[int, int], least: int) -> None:
    """Raises DataError where an image of (width, height) `size` has no square of `least` pixels a side."""
    if min(size) < least:
        raise DataError(
            f"{name}: {size[0]} x {size[1]} pixels, smaller than data.size {least}",
            "Set data.fit to stretch or scale, or make data.size smaller.",
        )


def middle(pixels: Pixels, height: int, width: int) -> Pixels:
    """The middle `height` x `width` of `[H, W, C]`."""
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]
