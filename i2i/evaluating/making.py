"""Outputs to be scored: translated, made from noise, or read from finished files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, final

import numpy as np

from i2i import images
from i2i.config import DataConfig
from i2i.data.decoded import fitted, middle
from i2i.data.samples import Batch
from i2i.errors import DataError
from i2i.images import Pixels
from i2i.noise import draw
from i2i.runtime.generator import Generator
from i2i.runtime.translator import Translator


class Maker(Protocol):
    """Makes outputs of samples."""

    def __call__(self, first: int, batch: Batch) -> Pixels:
        """Of the samples from the one at `first` on: uint8 `[N, H, W, C]`; raises I2IError."""
        ...


@final
class Translating:
    """What a model makes of inputs, as `i2i translate` does: so many at a time as its device takes."""

    def __init__(self, translator: Translator) -> None:
        self._translator = translator

    def __call__(self, first: int, batch: Batch) -> Pixels:
        """The inputs translated."""
        inputs = batch["input"].astype(np.uint8, copy=False)
        step = self._translator.batch(*inputs.shape[1:3])
        made = []
        for at in range(0, len(inputs), step):
            part = inputs[at : at + step]
            missing = step - len(part)  # a batch is always full, as in translating
            full = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
            made.append(self._translator(full)[: len(part)])
        return np.concatenate(made)


@final
class Generating:
    """What a model makes of the noise of a seed; if it knows classes, of those of the samples, or of each in turn."""

    def __init__(self, generator: Generator, seed: int) -> None:
        self._generator = generator
        self._seed = seed

    def __call__(self, first: int, batch: Batch) -> Pixels:
        """As many images as there are targets."""
        count = len(batch["target"])
        labels = self._generator.labels(count, first=first)
        if labels is not None and "label" in batch:
            labels = batch["label"].astype(np.int64)
        return self._generator.decode(draw(self._seed, count, self._generator.description.noise, first), labels)


@final
class Reading:
    """The finished images of another program, a file for each sample, brought to the size of the targets.

    config: as the targets are brought; None: images have to be as large as the targets are, or up to `slack` pixels
    larger, as targets are cut to a multiple.
    """

    def __init__(self, files: Sequence[Path], channels: int, config: DataConfig | None, slack: int = 0) -> None:
        self._files = files
        self._channels = channels
        self._config = config
        self._slack = slack

    @property
    def names(self) -> list[str]:
        """What the files are called."""
        return [file.stem for file in self._files]

    def __call__(self, first: int, batch: Batch) -> Pixels:
        """The files of the samples."""
        target = batch["target"]
        return np.stack([self._read(self._files[first + at], *target.shape[1:3]) for at in range(len(target))])

    def _read(self, file: Path, height: int, width: int) -> Pixels:
        pixels = images.to_pixels(images.read(file), self._channels)
        if self._config is not None:
            size = (pixels.shape[1], pixels.shape[0])
            pixels = images.resize(pixels, *fitted(size, self._config.fit, self._config.size))
        if not all(0 <= have - want <= self._slack for have, want in zip(pixels.shape, (height, width), strict=False)):
            raise DataError(
                f"{file}: {pixels.shape[1]} x {pixels.shape[0]} pixels, and its target is {width} x {height}",
                "Give outputs as large as their targets, or a --size to which both are brought.",
            )
        return middle(pixels, height, width)
