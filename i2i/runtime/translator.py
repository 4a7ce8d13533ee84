"""Image in, image out: any size, any mode, alpha kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, final, overload

import numpy as np
from PIL import Image

from i2i.errors import ImageError
from i2i.images import MODES, Pixels, from_pixels, plain, resize, to_pixels
from i2i.runtime.model.find import find_model
from i2i.runtime.session import Session, open_session
from i2i.runtime.tiles.anysize import AnySize, Tile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from i2i.artifact import Description
    from i2i.runtime.strips.rows import Source

_WITH_ALPHA: Final = (2, 4)
_BATCHING: Final = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
_BATCH_PIXELS: Final = 2**19  # from there on an image alone gives a GPU enough to do
_BATCH: Final = 8


@final
class Translator:
    """A model that is called with an image and returns the translated one, of the same kind."""

    def __init__(self, session: Session, tile: Tile = "auto") -> None:
        self._session = session
        self._any_size = AnySize(session, tile)
        self.tile: Tile = tile

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "auto",
        *,
        direction: str | None = None,
        once: bool = False,
        parallel: bool = False,
        tile: Tile = "auto",
    ) -> Translator:
        """Opens an `.onnx` file, or the model.onnx of a run directory, on `auto` or a device like `cpu` or `cuda:1`.

        direction: like BtoA, of a model that was trained in several, each in a file beside the others.
        once: open sooner and run a little slower, for a single image. parallel: for calls from several threads at once,
        as many as `lanes`; on the CPU each then has one core to itself, which is the faster way for many images.
        tile: pixels along the side of the pieces into which an image is cut that does not fit; "off" never cuts.
        Raises ArtifactError for a file that is no artifact, and DeviceError where the device cannot be had.
        """
        file = find_model(Path(path), direction)
        return cls(open_session(file, "image", device, once=once, parallel=parallel), tile)

    @property
    def path(self) -> Path:
        """The model's file."""
        return Path(self._session.name)

    @property
    def lanes(self) -> int:
        """How many calls from different threads may usefully go on at once."""
        return self._session.lanes

    def batch(self, height: int, width: int) -> int:
        """How many images of this size are translated at once, by this translator and however many there are.

        It depends on nothing else: a GPU chooses its algorithms by the size of the batch, and an image must not come
        out differently for the company it is in. On the CPU, batches were never faster than single images.
        """
        if self.provider not in _BATCHING:
            return 1
        return max(1, min(_BATCH, _BATCH_PIXELS // max(1, height * width)))

    def rows(self, source: Source) -> Iterator[Pixels]:
        """Strips `[h, W*scale, C]` of the translation of an image of `channels_in` channels, from top to bottom.

        What is held in memory is a piece of the image, not the image. Raises OutOfMemoryError.
        """
        return self._any_size.rows(source)

    def approximate(self, width: int, height: int) -> str | None:
        """Why the translation of an image of this size only comes near that of the whole; None: it is the same."""
        return self._any_size.approximate(width, height)

    @property
    def description(self) -> Description:
        """What the model says of itself."""
        return self._session.description

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda:N` or another device."""
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
            return self.pictures([plain(image)], flatten=flatten)[0]
        if isinstance(image, np.ndarray):
            return self._array(image)
        raise ImageError(
            f"a {type(image).__name__} is not an image",
            "Give a Pillow image (PIL.Image.open(path)) or a uint8 array [H, W, C].",
        )

    def pictures(self, images: Sequence[Image.Image], *, flatten: bool = False) -> list[Image.Image]:
        """Translates Pillow images of one size and of the modes L, LA, RGB or RGBA, at most `batch` of them, at once.

        A batch is filled up where it is not full. The rest is as when it is called. Raises ImageError.
        """
        width, height = images[0].size
        if not (width and height):
            raise ImageError(f"the image is empty: {width} x {height} pixels")
        channels = self.description.channels_in
        pixels = [to_pixels(image, channels) for image in images]
        pixels += pixels[-1:] * (self.batch(height, width) - len(pixels))
        translated = self._any_size(np.stack(pixels))[: len(images)]
        return [self._picture(*pair, keep_alpha=not flatten) for pair in zip(images, translated, strict=True)]

    def _picture(self, image: Image.Image, translated: Pixels, *, keep_alpha: bool) -> Image.Image:
        """The translated pixels as an image, with the alpha channel that the model did not see."""
        model_knows_alpha = any(
            channels in _WITH_ALPHA for channels in (self.description.channels_in, translated.shape[-1])
        )
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
