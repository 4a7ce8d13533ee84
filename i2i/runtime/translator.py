"""Image in, image out: any size, any mode, alpha kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, final, overload

import numpy as np
from PIL import Image

from i2i.artifact import INPUT
from i2i.errors import ImageError
from i2i.images import MODES, Pixels, from_pixels, plain, resize, to_pixels
from i2i.runtime.find import find_model
from i2i.runtime.session import Session, open_session

if TYPE_CHECKING:
    from i2i.artifact import Description

_WITH_ALPHA: Final = (2, 4)


@final
class Translator:
    """A model that is called with an image and returns the translated one, of the same kind."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", *, direction: str | None = None, once: bool = False
    ) -> Translator:
        """Opens an `.onnx` file, or the model.onnx of a run directory, on `auto`, `cpu`, `cuda` or `cuda:N`.

        direction: like BtoA, of a model that was trained in several, each in a file beside the others.
        once: open sooner and run a little slower, for a single image.
        Raises ArtifactError for a file that is no artifact, and DeviceError where the device cannot be had.
        """
        return cls(open_session(find_model(Path(path), direction), "image", device, once=once))

    @property
    def description(self) -> Description:
        """What the model says of itself."""
        return self._session.description

    @property
    def device(self) -> str:
        """Where it runs: `cpu` or `cuda:N`."""
        return self._session.device

    @property
    def provider(self) -> str:
        """The onnxruntime execution provider that it runs on, like `CPUExecutionProvider`."""
        return self._session.provider

    @property
    def note(self) -> str | None:
        """Why a GPU that is there is not used, where `auto` had to do without it."""
        return self._session.note

    @overload
    def __call__(self, image: Image.Image, *, flatten: bool = False) -> Image.Image: ...
    @overload
    def __call__(self, image: Pixels) -> Pixels: ...
    def __call__(self, image: Image.Image | Pixels, *, flatten: bool = False) -> Image.Image | Pixels:
        """Translates a Pillow image, or a uint8 array `[H, W]`, `[H, W, C]` or `[N, H, W, C]` of values 0 to 255.

        A Pillow image may have any mode; it is turned as its EXIF says. Where the model knows no alpha, transparent
        colour is laid on white for it and the alpha channel comes back on the result, unless `flatten`. An array's C
        is the model's `channels_in`; `[H, W]` is grey. H and W of the result are those of the input times `scale`.
        Raises ImageError for anything else, and where memory does not suffice.
        """
        if isinstance(image, Image.Image):
            return self._picture(plain(image), keep_alpha=not flatten)
        if isinstance(image, np.ndarray):
            return self._array(image)
        raise ImageError(
            f"a {type(image).__name__} is not an image",
            "Give a Pillow image (PIL.Image.open(path)) or a uint8 array [H, W, C].",
        )

    def _picture(self, image: Image.Image, *, keep_alpha: bool) -> Image.Image:
        if not (image.width and image.height):
            raise ImageError(f"the image is empty: {image.width} x {image.height} pixels")
        channels = self.description.channels_in
        translated = self._any_size(to_pixels(image, channels)[None])[0]
        model_knows_alpha = channels in _WITH_ALPHA or self.description.channels_out in _WITH_ALPHA
        if keep_alpha and not model_knows_alpha and image.mode in ("LA", "RGBA"):
            alpha = to_pixels(image.getchannel("A"), 1)
            translated = np.concatenate([translated, resize(alpha, *translated.shape[:2])], axis=-1)
        return from_pixels(translated)

    def _array(self, array: Pixels) -> Pixels:
        if array.dtype != np.uint8:
            raise ImageError(
                f"the array holds {array.dtype}, not uint8",
                "Scale its values to 0 to 255 and convert: (x * 255).round().astype('uint8') for x in 0 to 1.",
            )
        if array.ndim not in (2, 3, 4) or not array.size:
            raise ImageError(
                f"an array of shape {list(array.shape)} is no image", "Give uint8 [H, W], [H, W, C] or [N, H, W, C]."
            )
        channels = self.description.channels_in
        if array.ndim == 2:
            grey = to_pixels(from_pixels(array[..., None]), channels)
            translated: Pixels = self._any_size(grey[None])[0]
            return translated[..., 0] if translated.shape[-1] == 1 else translated
        if array.shape[-1] != channels:
            raise ImageError(
                f"the array has the shape {list(array.shape)}, and the model takes {channels} channels "
                f"({MODES[channels]}), which come last",
                "A Pillow image is converted: PIL.Image.fromarray(array).",
            )
        return self._any_size(array) if array.ndim == 4 else self._any_size(array[None])[0]

    def _any_size(self, pixels: Pixels) -> Pixels:
        """Pads `[N, H, W, C]` by reflection to a size that the model takes, translates, and crops.

        Only the bottom and the right are padded, so that the model's grid lies on the image as in training. An image
        smaller than the padding is reflected again and again; one pixel is repeated.
        """
        height, width = pixels.shape[1:3]
        multiple, minimum, scale = self.description.multiple, self.description.minimum, self.description.scale
        below, right = (-(-max(side, minimum) // multiple) * multiple - side for side in (height, width))
        if below or right:
            pixels = np.pad(pixels, ((0, 0), (0, below), (0, right), (0, 0)), mode="reflect")
        images, tall, wide, _ = pixels.shape
        promised = (images, tall * scale, wide * scale, self.description.channels_out)
        translated = self._session.run({INPUT: np.ascontiguousarray(pixels)}, promised, f"{wide} x {tall} pixels")
        return np.ascontiguousarray(translated[:, : height * scale, : width * scale])
