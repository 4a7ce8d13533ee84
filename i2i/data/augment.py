"""Training pairs cut, mirrored, turned and zoomed, both sides alike, by albumentations."""

from __future__ import annotations

import os
import threading
from typing import Any

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or the import asks the network for a newer version

import albumentations as al
import cv2

from i2i.config import DataConfig
from i2i.images import Pixels


class Augmentation:
    """Cuts a random `size` x `size` from a pair, and mirrors, turns and zooms it as configured.

    A pure function of the pair and the seed, from any thread. What a turn or a zoom brings in from outside the image
    is its reflection; the values in between are bicubic.
    """

    def __init__(self, config: DataConfig) -> None:
        self._config = config
        self._of_thread = threading.local()  # a Compose holds its random state, so each thread has its own

    def __call__(self, image: Pixels, target: Pixels, seed: int) -> tuple[Pixels, Pixels]:
        """`[H, W, C]` and `[H, W, K]`, H and W at least `size`, to `[size, size, C]` and `[size, size, K]`.

        `seed` is from 0 to 2**32 - 1.
        """
        if not hasattr(self._of_thread, "compose"):
            self._of_thread.compose = _compose(self._config)
        compose = self._of_thread.compose
        compose.set_random_seed(seed)
        both: dict[str, Any] = compose(image=image, target=target)
        return both["image"], both["target"]


def _compose(config: DataConfig) -> al.Compose:
    steps: list[al.DualTransform] = []
    if config.rotate or config.zoom:  # before the cut, which then takes from what really lies around it
        steps.append(
            al.Affine(
                rotate=(-config.rotate, config.rotate),
                scale=(1 / (1 + config.zoom), 1 + config.zoom),
                keep_ratio=True,
                interpolation=cv2.INTER_CUBIC,
                border_mode=cv2.BORDER_REFLECT_101,
                p=1.0,
            )
        )
    steps.append(al.RandomCrop(config.size, config.size, p=1.0))
    if config.flip:
        steps.append(al.HorizontalFlip(p=0.5))
    return al.Compose(steps, additional_targets={"target": "image"})
