"""Training images cut, mirrored, turned and zoomed by albumentations, the two of a pair alike."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from i2i.config import DataConfig
from i2i.images import Pixels

_KEYS: Final = ("image", "target")  # as which a Compose knows them
_LABELLED: Final = ("mask", "image")  # and a label map with its image


class Augmentation:
    """Cuts a random `size` x `size` from images, and mirrors, turns and zooms them as configured.

    A pure function of the images and the seed, from any thread. What a turn or a zoom brings in from outside the image
    is its reflection; the values in between are bicubic. labels: the first of two is a label map, of which every pixel
    stays one of its own: the nearest.
    """

    def __init__(self, config: DataConfig, *, labels: bool = False) -> None:
        self._config = config
        self._keys = _LABELLED if labels else _KEYS
        self._of_thread = threading.local()  # a Compose holds its random state, so each thread has its own

    def __call__(self, images: Sequence[Pixels], seed: int) -> tuple[Pixels, ...]:
        """One or two images `[H, W, C]`, H and W at least `size`, all alike to `[size, size, C]`.

        Two are of one height and width, their channels may differ. `seed` is from 0 to 2**32 - 1.
        """
        if not hasattr(self._of_thread, "compose"):
            self._of_thread.compose = _compose(self._config)
        compose = self._of_thread.compose
        compose.set_random_seed(seed)
        keys = self._keys[: len(images)]
        made: dict[str, Pixels] = compose(**dict(zip(keys, images, strict=True)))
        return tuple(made[key] for key in keys)


def _compose(config: DataConfig) -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or the import asks the network for a newer version
    # Imported when the first image is augmented: it brings torch along, which looking at data does without.
    al, cv2 = import_module("albumentations"), import_module("cv2")
    steps = []
    if config.rotate or config.zoom:  # before the cut, which then takes from what really lies around it
        steps.append(
            al.Affine(
                rotate=(-config.rotate, config.rotate),
                scale=(1 / (1 + config.zoom), 1 + config.zoom),
                keep_ratio=True,
                interpolation=cv2.INTER_CUBIC,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_REFLECT_101,
                p=1.0,
            )
        )
    steps.append(al.RandomCrop(config.size, config.size, p=1.0))
    if config.flip:
        steps.append(al.HorizontalFlip(p=0.5))
    return al.Compose(steps, additional_targets={"target": "image"})
