"""Single images, with or without the number of their class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from i2i.config import DataConfig
from i2i.data.augment import Augmentation
from i2i.data.decoded import Decoded, middle
from i2i.data.samples import Sample, evenly
from i2i.images import Pixels


class Images:
    """Images of one kind: `target`, and `label` where `labels` holds a number for each."""

    uniform = True

    def __init__(self, images: Decoded, config: DataConfig, labels: Sequence[int] | None = None) -> None:
        self._images = images
        self._config = config
        self._labels = None if labels is None else list(labels)
        self._augment = Augmentation(config)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def names(self) -> list[str]:
        """The names of the images; they open with that of the class where there are classes."""
        return self._images.names

    def spread(self, count: int) -> Images:
        """At most `count` of the images, evenly spaced."""
        chosen = evenly(len(self), count)
        labels = None if self._labels is None else [self._labels[index] for index in chosen]
        return Images(self._images.chosen(chosen), self._config, labels)

    def training(self, index: int, seed: int) -> Sample:
        """The image augmented."""
        (target,) = self._augment(self._images.read(index), seed)
        return self._sample(index, target)

    def drawn(self, index: int, seed: int) -> str:
        """The name of the image, whatever the seed."""
        return self._images.sources[index].name

    def evaluating(self, index: int) -> Sample:
        """The whole square; with `fit` scale or none the middle one."""
        (target,) = self._images.read(index)
        return self._sample(index, middle(target, self._config.size, self._config.size))

    def _sample(self, index: int, target: Pixels) -> Sample:
        if self._labels is None:
            return {"target": target}
        return {"target": target, "label": np.asarray(self._labels[index], np.int64)}
