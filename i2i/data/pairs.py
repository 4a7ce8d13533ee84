"""Paired: an input and a target that lie upon each other."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from i2i import images
from i2i.config import DataConfig
from i2i.data.augment import Augmentation
from i2i.data.decoded import Bring, Decoded, check_large, fitted, middle
from i2i.data.samples import Sample, evenly
from i2i.data.sources import Source
from i2i.errors import DataError
from i2i.images import Pixels

Take = Callable[[Source, Image.Image, int, int], Pixels]
"""From the input of a source, decoded, to its pixels at a height and a width; raises DataError."""


class Pairs:
    """Pairs of images: `input` and `target` are cut, mirrored, turned and zoomed alike.

    labels: the input is a label map, whose colours are never mixed.
    """

    uniform = True

    def __init__(self, pairs: Decoded, config: DataConfig, *, labels: bool = False) -> None:
        self._pairs = pairs
        self._config = config
        self._labels = labels
        self._augment = Augmentation(config, labels=labels)

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def names(self) -> list[str]:
        """The names of the pairs."""
        return self._pairs.names

    def spread(self, count: int) -> Pairs:
        """At most `count` of the pairs, evenly spaced."""
        return Pairs(self._pairs.chosen(evenly(len(self), count)), self._config, labels=self._labels)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Input and target whole, uint8 `[H, W, C]` and `[H, W, K]`, H and W at least `config.size`, read-only."""
        image, target = self._pairs.read(index)
        return image, target

    def training(self, index: int, seed: int) -> Sample:
        """Both sides through the same augmentation."""
        image, target = self._augment(self.read(index), seed)
        return {"input": image, "target": target}

    def drawn(self, index: int, seed: int) -> str:
        """The name of the pair, whatever the seed."""
        return self._pairs.sources[index].name

    def evaluating(self, index: int) -> Sample:
        """The whole square, as published; with `fit` scale or none the middle one."""
        size = self._config.size
        image, target = (middle(pixels, size, size) for pixels in self.read(index))
        return {"input": image, "target": target}


def bring_pair(config: DataConfig, side: int, take: Take | None = None) -> Bring:
    """Brings both images of a pair to one size by `config.fit`, the input first as `config.direction` says.

    take: how the input is made smaller or larger, where not as all images are.
    """

    def bring(source: Source) -> tuple[Pixels, Pixels]:
        a, b = source.open(config.max_bytes)
        image, target = (a, b) if config.direction == "AtoB" else (b, a)
        if config.fit == "none":
            if image.size != target.size:
                raise DataError(
                    f"{source.name}: input of {image.width} x {image.height} "
                    f"and target of {target.width} x {target.height} pixels",
                    "data.fit none needs both of one size; set data.fit to stretch or scale.",
                )
            check_large(source.name, image.size, config.size)
        height, width = fitted(image.size, config.fit, side)
        brought = (
            images.resize(images.to_pixels(image, config.input_channels), height, width)
            if take is None
            else take(source, image, height, width)
        )
        return (
            brought,
            images.resize(images.to_pixels(target, config.target_channels), height, width),
        )

    return bring
