"""Unpaired: images of A and images of B that have nothing to do with each other."""

from __future__ import annotations

import numpy as np

from i2i.config import DataConfig
from i2i.data.augment import Augmentation
from i2i.data.decoded import Decoded, middle
from i2i.data.samples import Sample, evenly


class Unpaired:
    """`input` of the one side and `target` of the other, each augmented on its own.

    As pytorch-CycleGAN-and-pix2pix has it, there are as many samples as the longer side has images, sample i takes
    input i modulo their number, and the target is a random one. At evaluation it is target i modulo their number.
    """

    uniform = True

    def __init__(self, inputs: Decoded, targets: Decoded, config: DataConfig) -> None:
        self._inputs = inputs
        self._targets = targets
        self._config = config
        self._augment = Augmentation(config)

    def __len__(self) -> int:
        return max(len(self._inputs), len(self._targets)) if self._inputs and self._targets else 0

    @property
    def names(self) -> list[str]:
        """The names of input and target at evaluation: one where they are the same, else both."""
        inputs, targets = self._inputs.names, self._targets.names
        both = ((inputs[i % len(inputs)], targets[i % len(targets)]) for i in range(len(self)))
        return [image if image == target else f"{image}, {target}" for image, target in both]

    def spread(self, count: int) -> Unpaired:
        """At most `count` of the samples as evaluation has them, evenly spaced."""
        chosen = evenly(len(self), count)
        inputs = self._inputs.chosen([index % len(self._inputs) for index in chosen])
        targets = self._targets.chosen([index % len(self._targets) for index in chosen])
        return Unpaired(inputs, targets, self._config)

    def training(self, index: int, seed: int) -> Sample:
        """The input of `index` and a target that the seed draws, with a crop and a flip each."""
        target, for_input, for_target = self._draw(seed)
        (image,) = self._augment(self._inputs.read(index % len(self._inputs)), for_input)
        (other,) = self._augment(self._targets.read(target), for_target)
        return {"input": image, "target": other}

    def drawn(self, index: int, seed: int) -> str:
        """The names of the input and of the target that the seed draws."""
        target = self._targets.sources[self._draw(seed)[0]]
        return f"{self._inputs.sources[index % len(self._inputs)].name}, {target.name}"

    def evaluating(self, index: int) -> Sample:
        """The whole squares; with `fit` scale or none the middle ones."""
        size = self._config.size
        (image,) = self._inputs.read(index % len(self._inputs))
        (target,) = self._targets.read(index % len(self._targets))
        return {"input": middle(image, size, size), "target": middle(target, size, size)}

    def _draw(self, seed: int) -> tuple[int, int, int]:
        """Which target, and the seeds of both augmentations."""
        target, for_input, for_target = (int(value) for value in np.random.SeedSequence(seed).generate_state(3))
        return target % len(self._targets), for_input, for_target
