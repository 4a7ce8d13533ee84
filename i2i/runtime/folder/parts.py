"""What goes from file to file by parts, because it does not fit into memory: videos and very large images."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from i2i.images import QUALITY, find
from i2i.runtime.strips.large import translate_large
from i2i.runtime.video.video import frames_to_video, translate_video, video_to_frames

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from i2i.runtime.folder.jobs import Job
    from i2i.runtime.folder.rendering import Rendering
    from i2i.runtime.translator import Translator


class Part(NamedTuple):
    """How many frames or rows are done, and width and height of the result where it is an image."""

    done: int
    size: tuple[int, int] | None = None


def parts(translator: Translator, job: Job, rendering: Rendering) -> Generator[Part, None, None]:
    """Does a job whose source is a path, and yields how far it is; closed before the end, it leaves nothing."""
    if job.kind == "image":
        yield from _strips(translator, job, rendering)
        return
    for done in _frames(translator, job, rendering):
        yield Part(done)


def _strips(translator: Translator, job: Job, rendering: Rendering) -> Generator[Part, None, None]:
    for done, width, height in translate_large(
        translator,
        job.path,
        job.target,
        flatten=rendering.flatten,
        quality=rendering.quality or QUALITY,
        keep_metadata=rendering.keep_metadata,
        max_pixels=rendering.max_pixels,
    ):
        yield Part(done, (width, height))


def _frames(translator: Translator, job: Job, rendering: Rendering) -> Generator[int, None, None]:
    quality, limit = rendering.quality, rendering.max_pixels
    if job.kind == "frames":
        return video_to_frames(translator, job.path, job.target, max_pixels=limit)
    if job.kind == "video":
        return translate_video(translator, job.path, job.target, quality=quality, max_pixels=limit)
    images = sorted(find(job.path), key=_natural)
    rate = Fraction(rendering.rate).limit_denominator(1001)
    return frames_to_video(translator, images, job.target, rate=rate, quality=quality, max_pixels=limit)


def _natural(path: Path) -> tuple[list[str | int], str]:
    """For an order in which 2 comes before 10, with or without zeros before it."""
    pieces = re.split(r"(\d+)", str(path))
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], str(path)
