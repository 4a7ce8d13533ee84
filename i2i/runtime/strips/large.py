"""One image too large to be held in memory, from file to file."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from i2i.files import refuse
from i2i.images import MAX_PIXELS, MODES, QUALITY, check_writable, opening, resize
from i2i.runtime.strips.rows import open_source
from i2i.runtime.strips.rows_write import check_size, open_sink

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from i2i.images import Pixels
    from i2i.runtime.strips.rows import Source
    from i2i.runtime.translator import Translator

_LARGE: Final = 2**25  # pixels, from which on the disk is the smaller cost: in memory they are half a GiB and more
_AHEAD: Final = 2  # strips that wait to be written
_MARGIN: Final = 4  # rows of alpha beyond a strip, which the bicubic filter reaches


class Progress(NamedTuple):
    """Rows of the result that are done, and its width and height."""

    done: int
    width: int
    height: int


def is_large(source: Path, *, max_pixels: int = MAX_PIXELS, scale: int = 1) -> bool:
    """Whether an image or its result, `scale` times as wide, is better translated by strips, by the file's header.

    Raises ImageError, which names the file.
    """
    with opening(source, str(source), max_pixels) as image:
        return image.width * image.height * scale**2 >= _LARGE


def translate_large(
    translator: Translator,
    source: Path,
    target: Path,
    *,
    flatten: bool = False,
    quality: int = QUALITY,
    keep_metadata: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Generator[Progress, None, None]:
    """Translates an image file to `target` by strips, and yields how far it is.

    The outcome is that of reading, translating and writing the whole: alpha that the model does not know comes back on
    the result unless `flatten`, the profile goes along, and other metadata too if asked. Raises ImageError, which names
    the file, and I2IError where the disk refuses; `target` is there whole or not at all.
    """
    check_writable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(target, error)
    described = translator.description
    scale = described.scale
    with open_source(
        source, described.channels_in, target.parent, max_pixels=max_pixels, everything=keep_metadata
    ) as image:
        knows_alpha = any(MODES[it].endswith("A") for it in (described.channels_in, described.channels_out))
        alpha = None if flatten or knows_alpha else image.alpha
        width, height = image.width * scale, image.height * scale
        channels = described.channels_out + (alpha is not None)
        check_size(target, width, height, channels)
        with open_sink(target, width, height, channels, quality=quality, beside=image.beside) as sink:
            writing = ThreadPoolExecutor(1, thread_name_prefix="i2i-write")
            waiting: deque[Future[None]] = deque()
            done = 0
            try:
                for strip in translator.rows(image):
                    whole = strip if alpha is None else _with_alpha(strip, alpha, done // scale, scale)
                    done += strip.shape[0]
                    waiting.append(writing.submit(sink.write, whole))
                    while len(waiting) > _AHEAD:
                        waiting.popleft().result()
                    yield Progress(done, width, height)
                for written in waiting:
                    written.result()
            finally:
                writing.shutdown(wait=True, cancel_futures=True)


def _with_alpha(strip: Pixels, alpha: Source, top: int, scale: int) -> Pixels:
    """The strip with the rows of alpha from `top` on, made larger as they are when the image is whole."""
    bottom = top + strip.shape[0] // scale
    first, last = max(0, top - _MARGIN), min(alpha.height, bottom + _MARGIN)
    rows = alpha.read(first, last, 0, alpha.width)
    larger = resize(rows, rows.shape[0] * scale, rows.shape[1] * scale)
    return np.concatenate([strip, larger[(top - first) * scale :][: strip.shape[0]]], axis=-1)
