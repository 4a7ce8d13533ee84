"""The pairs of one split as pixels of one size."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from i2i import images
from i2i.config import DataConfig
from i2i.data.cache import Cache
from i2i.data.sources import Source
from i2i.errors import DataError
from i2i.images import Pixels


class Pairs:
    """A sequence of image pairs, brought to a size by `config.fit`, in a fixed order.

    `side` is the pixels along the side of the square (stretch) or along the shorter side (scale): `config.resized` for
    training, which cuts from it, and `config.size` for evaluation.
    """

    def __init__(self, sources: Sequence[Source], config: DataConfig, *, side: int, cache: Cache) -> None:
        self._sources = list(sources)
        self._config = config
        self._side = side
        self._cache = cache

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def names(self) -> list[str]:
        """What each pair is called: its path within the split without the suffix."""
        return [source.name for source in self._sources]

    def spread(self, count: int) -> Pairs:
        """At most `count` of the pairs, evenly spaced."""
        count = min(count, len(self))
        chosen = [self._sources[index * len(self) // count] for index in range(count)]
        return Pairs(chosen, self._config, side=self._side, cache=self._cache)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Input and target, uint8 `[H, W, C]` and `[H, W, K]`, H and W at least `config.size`, read-only.

        Raises DataError, which names the file, where it cannot be used.
        """
        source = self._sources[index]
        return self._cache.get((source, self._side), lambda: self._decode(source))

    def _decode(self, source: Source) -> tuple[Pixels, Pixels]:
        config = self._config
        a, b = source.open()
        image, target = (a, b) if config.direction == "AtoB" else (b, a)
        if config.fit == "none":
            _check_uncut(source.name, image, target, config.size)
        height, width = _fitted(image, config.fit, self._side)
        return (
            images.resize(images.to_pixels(image, config.input_channels), height, width),
            images.resize(images.to_pixels(target, config.target_channels), height, width),
        )


def _fitted(image: Image.Image, fit: str, side: int) -> tuple[int, int]:
    if fit == "stretch":
        return side, side
    if fit == "none":
        return image.height, image.width
    shorter = min(image.size)
    return round(image.height * side / shorter), round(image.width * side / shorter)


def _check_uncut(name: str, image: Image.Image, target: Image.Image, size: int) -> None:
    if image.size != target.size:
        raise DataError(
            f"{name}: input of {image.width} x {image.height} and target of {target.width} x {target.height} pixels",
            "data.fit none needs both of one size; set data.fit to stretch or scale.",
        )
    if min(image.size) < size:
        raise DataError(
            f"{name}: {image.width} x {image.height} pixels, smaller than data.size {size}",
            "Set data.fit to stretch or scale, or make data.size smaller.",
        )
