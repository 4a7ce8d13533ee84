"""Upscaled: a small image and the same one `scale` times as large, which is given or from which it is made."""

from __future__ import annotations

import numpy as np

from i2i import images
from i2i.config import DataConfig
from i2i.data.augment import Augmentation
from i2i.data.decoded import Bring, Decoded, fitted, middle
from i2i.data.samples import Sample, evenly
from i2i.data.sources import Source
from i2i.errors import DataError
from i2i.images import Pixels


class Upscaled:
    """`target` of high and `input` of low resolution; `side` is that of the square that is evaluated, None: all of it.

    Where there are high resolutions only, the input is made by Pillow's bicubic filter, which averages.
    """

    def __init__(self, images: Decoded, config: DataConfig, side: int | None) -> None:
        self._images = images
        self._config = config
        self._side = side
        self._augment = Augmentation(config)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def names(self) -> list[str]:
        """The names of the images."""
        return self._images.names

    @property
    def uniform(self) -> bool:
        """Whether a square of one size is evaluated."""
        return self._side is not None

    def spread(self, count: int) -> Upscaled:
        """At most `count` of the images, evenly spaced."""
        return Upscaled(self._images.chosen(evenly(len(self), count)), self._config, self._side)

    def training(self, index: int, seed: int) -> Sample:
        """A random square of the image at its resolution."""
        read = self._images.read(index)
        if len(read) == 1:
            (target,) = self._augment(read, seed)
            return self._degraded(target)
        low, high = read
        return self._aligned(low, high, seed)

    def drawn(self, index: int, seed: int) -> str:
        """The name of the image, whatever the seed."""
        return self._images.sources[index].name

    def evaluating(self, index: int) -> Sample:
        """The middle square or the whole image, cut to multiples of `scale`."""
        scale, read = self._config.scale, self._images.read(index)
        height, width = (side // scale for side in (read[-1].shape[:2] if self._side is None else [self._side] * 2))
        if len(read) == 1:
            return self._degraded(middle(read[0], height * scale, width * scale))
        low, high = read
        top, left = (low.shape[0] - height) // 2, (low.shape[1] - width) // 2
        return self._cut(low, high, top, left, height, width)

    def _degraded(self, target: Pixels) -> Sample:
        scale, channels = self._config.scale, self._config.input_channels
        same = channels == target.shape[2]
        image = target if same else images.to_pixels(images.from_pixels(target), channels)
        return {"input": images.resize(image, target.shape[0] // scale, target.shape[1] // scale), "target": target}

    def _aligned(self, image: Pixels, target: Pixels, seed: int) -> Sample:
        size, rng = self._config.size // self._config.scale, np.random.default_rng(seed)
        top, left = (int(rng.integers(0, side - size, endpoint=True)) for side in image.shape[:2])
        sample = self._cut(image, target, top, left, size, size)
        mirrored = self._config.flip and rng.random() < 0.5
        return {name: pixels[:, ::-1] for name, pixels in sample.items()} if mirrored else sample

    def _cut(self, image: Pixels, target: Pixels, top: int, left: int, height: int, width: int) -> Sample:
        """The same part of both; the numbers count pixels of low resolution."""
        scale = self._config.scale
        return {
            "input": image[top : top + height, left : left + width],
            "target": target[scale * top : scale * (top + height), scale * left : scale * (left + width)],
        }


def bring_upscaled(config: DataConfig, least: int) -> Bring:
    """Decodes a high resolution, or a low and a high one; the high one must have a square of `least` pixels a side."""

    def bring(source: Source) -> tuple[Pixels, ...]:
        opened = source.open(config.max_bytes)
        if config.direction == "BtoA":
            opened = opened[::-1]
        high = opened[-1]
        height, width = fitted(high.size, config.fit, config.resized)
        if min(height, width) < least:
            raise DataError(
                f"{source.name}: {width} x {height} pixels, smaller than the {least} that are cut from it",
                "Remove it, or make data.size and data.evaluation_size smaller.",
            )
        if len(opened) == 1:
            return (images.resize(images.to_pixels(high, config.target_channels), height, width),)
        low = opened[0]
        if high.size != (low.width * config.scale, low.height * config.scale):
            raise DataError(
                f"{source.name}: low resolution of {low.width} x {low.height} and high one of {high.width} x "
                f"{high.height} pixels, not {config.scale} times as large",
                "Set data.scale to what they differ by, or cut both to the same part of the scene.",
            )
        return images.to_pixels(low, config.input_channels), images.to_pixels(high, config.target_channels)

    return bring


def check_config(config: DataConfig, *, given: bool) -> None:
    """Raises DataError where `config` does not go with super-resolution, or with low resolutions that are `given`."""
    if config.size % config.scale:
        raise DataError(
            f"data.size {config.size}: no multiple of data.scale {config.scale}",
            f"Set it to {config.size // config.scale * config.scale or config.scale}.",
        )
    if config.fit == "stretch":
        raise DataError("data.fit stretch: would bend what is to be made sharper", "Set data.fit to none, or to scale.")
    if given and (config.fit != "none" or config.rotate or config.zoom):
        raise DataError(
            "data.fit scale, data.rotate and data.zoom do not go with low resolutions that are given",
            "Set data.fit=none data.rotate=0 data.zoom=0, or give high resolutions only.",
        )
