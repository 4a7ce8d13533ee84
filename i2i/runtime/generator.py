"""Noise in, images out."""

from __future__ import annotations

from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
from numpy.typing import NDArray

from i2i.artifact import LABEL, NOISE
from i2i.errors import I2IError, ImageError, did_you_mean
from i2i.images import Pixels
from i2i.noise import draw
from i2i.runtime.model.find import find_model
from i2i.runtime.session import Session, open_session

if TYPE_CHECKING:
    from i2i.noise import Noise

Labels = NDArray[np.int64]

BATCH: Final = 64  # images at a time: more would only take memory
_NAMED: Final = 20  # classes, in an error
_SHOWN: Final = 100  # characters of a label, in an error
_DIGITS: Final = 18  # of a label that is a number: more name no class, and take long to read


@final
class Generator:
    """A model that is called with how many images to make."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.description = session.description  # what the model says of itself
        self.device = session.device  # where it runs: `cpu` or `cuda:N`
        self.provider = session.provider  # the onnxruntime execution provider
        self.note = session.note  # why a GPU that is there is not used

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Generator:
        """Opens an `.onnx` file, or the model.onnx of a run directory, on `auto`, `cpu`, `cuda` or `cuda:N`.

        Raises ArtifactError for a file that is no artifact or translates images, and DeviceError where the device
        cannot be had.
        """
        return cls(open_session(find_model(Path(path)), "noise", device))

    def __call__(self, count: int, seed: int = 0, label: int | str | None = None, first: int = 0) -> Pixels:
        """The images `first` to `first + count - 1` of a seed, uint8 `[count, H, W, C]`.

        An image is the same whatever `count`, up to rounding. label: the class to make, by number or name; without
        one, image i is of class i modulo the number of classes. Raises I2IError for a label that the model does not
        know, or a seed out of range.
        """
        try:
            count = index(count)
        except TypeError:
            raise ImageError(
                f"a {type(count).__name__} is no number of images, and this model makes images from noise alone",
                "Give how many to make; `i2i translate` is for models that take images.",
            ) from None
        return self.decode(draw(seed, count, self.description.noise, first), self.labels(count, label, first))

    def decode(self, noise: Noise, labels: Labels | None = None) -> Pixels:
        """The images of noise, float32 `[N, Z]`, and labels, int64 `[N]` where the model knows classes: `[N, H, W, C]`.

        Raises I2IError where the shapes or the labels are not the model's.
        """
        said = self.description
        if noise.ndim != 2 or noise.shape[1] != said.noise:
            raise I2IError(f"noise of shape {list(noise.shape)}: the model takes [N, {said.noise}]")
        if (None if labels is None else labels.shape) != ((len(noise),) if said.classes else None):
            known = f"takes labels [{len(noise)}]" if said.classes else "knows no classes"
            raise I2IError(f"labels {None if labels is None else list(labels.shape)}: the model {known}")
        if labels is not None and len(labels) and not 0 <= labels.min() <= labels.max() < len(said.classes):
            raise I2IError(f"labels {labels.min()} to {labels.max()}: the model knows {len(said.classes)} classes")
        images = np.empty((len(noise), said.size, said.size, said.channels_out), np.uint8)
        for start in range(0, len(noise), BATCH):
            part = slice(start, min(start + BATCH, len(noise)))
            inputs: dict[str, NDArray[Any]] = {NOISE: np.ascontiguousarray(noise[part], np.float32)}
            if labels is not None:
                inputs[LABEL] = np.ascontiguousarray(labels[part], np.int64)
            promised = (part.stop - start, *images.shape[1:])
            images[part] = self._session.run(inputs, promised, f"{promised[0]} images")
        return images

    def labels(self, count: int, label: int | str | None = None, first: int = 0) -> Labels | None:
        """The classes of `count` images, all of `label` or else in turn, int64 `[count]`; None of a model without."""
        if label is not None:
            return np.full(count, self.number(label), np.int64)
        classes = len(self.description.classes)
        return np.arange(first, first + count, dtype=np.int64) % classes if classes else None

    def number(self, label: int | str) -> int:
        """The number of the class that `label` means, by its name or its number; raises I2IError for an unknown one."""
        classes = self.description.classes
        if not classes:
            raise I2IError(f"label '{str(label)[:_SHOWN]}': the model knows no classes", "Leave out the label.")
        if label in classes:
            return classes.index(str(label))
        if len(str(label)) <= _DIGITS and str(label).isdecimal() and int(label) < len(classes):
            return int(label)
        more = f" and {len(classes) - _NAMED} more" if len(classes) > _NAMED else ""
        raise I2IError(
            f"label '{str(label)[:_SHOWN]}': unknown{did_you_mean(str(label)[:_SHOWN], classes)}",
            f"The model knows: {', '.join(classes[:_NAMED])}{more}; or 0 to {len(classes) - 1}.",
        )
