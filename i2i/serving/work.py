"""What a run does with what has waited for it, by kind of request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from i2i.artifact import INPUT, LABEL, NOISE
from i2i.runtime.generator import BATCH, Generator
from i2i.serving.batching import Group

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from i2i.images import Pixels
    from i2i.runtime.translator import Translator
    from i2i.serving.drawing import Inputs

LARGE: Final = 2**18  # pixels from which a run is large: of more, two at a time might not fit into memory


def of_pictures(translator: Translator, narrow: Translator | None, size: tuple[int, int], *, flatten: bool) -> Group:
    """Pictures of one size, width and height: as many together as the translator takes at once.

    narrow: the same one, with a core for each run.
    """
    width, height = size

    def run(images: Sequence[Image.Image], wide: bool) -> list[Image.Image]:
        runner = translator if wide or narrow is None else narrow
        return runner.pictures(images, flatten=flatten)

    key, scale = ("pictures", size, flatten), translator.description.scale
    return Group(key, translator.batch(height, width), run, narrow is not None, width * height * scale**2 > LARGE)


def of_noise(generator: Generator) -> Group:
    """Noise and labels of any number of images."""

    def run(loads: Sequence[Inputs], wide: bool) -> list[Pixels]:
        noise = np.concatenate([each.noise for each in loads])
        known = [each.labels for each in loads if each.labels is not None]
        images = generator.decode(noise, np.concatenate(known) if known else None)
        return np.split(images, np.cumsum([len(each.noise) for each in loads])[:-1])

    return Group("noise", BATCH, run)


def of_tensors(runner: Translator | Generator, pixels: int) -> Group:
    """The model's own inputs, which are a batch already, of so many pixels in all."""

    def infer(inputs: Mapping[str, NDArray[Any]]) -> Pixels:
        if isinstance(runner, Generator):
            return runner.decode(inputs[NOISE], inputs.get(LABEL))
        made: Pixels = runner(inputs[INPUT])
        return made

    return Group("tensors", 1, lambda loads, wide: [infer(inputs) for inputs in loads], large=pixels > LARGE)
