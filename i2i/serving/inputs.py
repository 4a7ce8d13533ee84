"""The model's own inputs as they come over a wire: checked before they are let in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from i2i.artifact import INPUT, LABEL, NOISE
from i2i.serving.decoding import check_pixels
from i2i.serving.errors import InvalidError, TooLargeError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from i2i.artifact import Description
    from i2i.serving.limits import Limits


def check(said: Description, inputs: Mapping[str, NDArray[Any]], limits: Limits) -> None:
    """Raises InvalidError for inputs that are not the model's, and TooLargeError for more than is taken."""
    if said.kind == "image":
        wanted: dict[str, tuple[DTypeLike, tuple[int | None, ...]]] = {
            INPUT: (np.uint8, (None, None, None, said.channels_in))
        }
    else:
        wanted = {NOISE: (np.float32, (None, said.noise))} | ({LABEL: (np.int64, (None,))} if said.classes else {})
    if set(inputs) != set(wanted):
        raise InvalidError(
            f"the inputs are {_listed(inputs)}, and the model takes {_listed(wanted)}", "Give exactly these."
        )
    for name, (kind, shape) in wanted.items():
        value = inputs[name]
        fits = len(value.shape) == len(shape) and all(
            extent > 0 and right in (None, extent) for extent, right in zip(value.shape, shape, strict=True)
        )
        if value.dtype != kind or not fits:
            sides = ", ".join("any" if extent is None else str(extent) for extent in shape)
            raise InvalidError(
                f"input '{name}' is {value.dtype} {list(value.shape)}, and the model takes {np.dtype(kind)} [{sides}]"
            )
    images = len(next(iter(inputs.values())))
    if images > limits.images:
        raise TooLargeError(f"{images} images at once, over the limit of {limits.images}", "Send them in parts.")
    if said.kind == "image":
        _, height, width, _ = inputs[INPUT].shape
        check_pixels(width, height, limits, said.scale, images)
    elif said.classes:
        _check_labels(inputs[LABEL], images, len(said.classes))


def extent(said: Description, inputs: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
    """The images of checked inputs, and the pixels of what comes out."""
    if said.kind == "image":
        images, height, width, _ = inputs[INPUT].shape
        return images, images * height * width * said.scale**2
    return len(inputs[NOISE]), len(inputs[NOISE]) * said.size**2


def _check_labels(labels: NDArray[Any], images: int, classes: int) -> None:
    if len(labels) != images:
        raise InvalidError(f"{len(labels)} labels for {images} images", "Give one for each image.")
    if not 0 <= labels.min() <= labels.max() < classes:
        raise InvalidError(
            f"labels {labels.min()} to {labels.max()}: the model knows {classes} classes",
            f"Give numbers from 0 to {classes - 1}.",
        )


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name[:100]}'" for name in names) or "none"
