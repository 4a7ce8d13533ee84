"""Videos and sequences of frames through a translator: decoding and encoding in threads, beside the inference."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from i2i.errors import I2IError, ImageError
from i2i.files import replacing
from i2i.images import MAX_PIXELS, encode, from_pixels, read, to_pixels
from i2i.runtime.video.clip import Colours, Frame, open_clip, usual_matrix
from i2i.runtime.video.clip_writer import check_writable, write_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from fractions import Fraction
    from pathlib import Path

    from av import Packet
    from av.stream import Stream

    from i2i.images import Pixels
    from i2i.runtime.translator import Translator

    Item: TypeAlias = Frame | Packet[Stream]

_AHEAD: Final = 2  # chunks that wait on either side of the inference: this bounds the memory
_CHUNK: Final = 256  # frames and packets: sound that goes on when the pictures have ended is not gathered


def translate_video(
    translator: Translator,
    source: Path,
    target: Path,
    *,
    quality: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[int, None, None]:
    """Translates a video frame by frame to `target`, and yields how many frames are done, as they are done.

    Frames keep their times; audio is copied as it is, and subtitles where the format of `target` can hold them. The
    result is upright H.264 (VP9 in `.webm`), 4:2:0, with the colour matrix of the source. quality: 1 to 100.
    Closing the iterator, or an exception, leaves nothing of `target`. Raises ImageError, which names the file.
    """
    check_writable(target)
    with (
        open_clip(source, max_pixels) as clip,
        write_clip(
            target, rate=clip.rate, time_base=clip.time_base, others=clip.others, quality=quality
        ) as writer,
    ):  # fmt: skip
        yield from _overlapped(translator, clip, writer.write)


def video_to_frames(
    translator: Translator, source: Path, folder: Path, *, max_pixels: int = MAX_PIXELS
) -> Generator[int, None, None]:
    """Translates a video to a new folder of 000001.png and so on, there whole or not at all; yields as translate_video.

    Raises ImageError, which names the file, and I2IError where `folder` is there already.
    """
    if os.path.lexists(folder):
        raise I2IError(f"{folder}: already exists", "Give a folder that is not there yet.")
    with open_clip(source, max_pixels) as clip, replacing(folder) as aside:
        aside.mkdir()
        count = 0

        def save(item: Item) -> None:
            nonlocal count
            if isinstance(item, Frame):
                count += 1
                (aside / f"{count:06}.png").write_bytes(encode(from_pixels(item.pixels), ".png"))

        yield from _overlapped(translator, clip, save)


def frames_to_video(
    translator: Translator,
    frames: Sequence[Path],
    target: Path,
    *,
    rate: Fraction,
    quality: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[int, None, None]:
    """Translates image files, in the order given, to a video of `rate` frames a second; yields as translate_video.

    Transparent colour is laid on white. Raises ImageError, which names the file, where the sizes differ.
    """
    check_writable(target)
    if not frames:
        raise ImageError(f"{target}: there are no frames", "Give image files of one size.")
    with write_clip(target, rate=rate, time_base=1 / rate, quality=quality) as writer:
        yield from _overlapped(translator, _stills(frames, max_pixels), writer.write)


def frame_count(source: Path) -> int | None:
    """How many frames a video has, by what its file says, or None; raises ImageError, which names the file."""
    with open_clip(source) as clip:
        return clip.frames


def _stills(frames: Sequence[Path], max_pixels: int) -> Iterator[Frame]:
    size: tuple[int, int] | None = None
    for time, path in enumerate(frames):
        image = read(path, max_pixels=max_pixels)
        if size not in (None, image.size):
            raise ImageError(
                f"{path}: is {image.width} x {image.height} pixels, and {frames[0]} is {size[0]} x {size[1]}",
                "The frames of a video have one size.",
            )
        size = image.size
        yield Frame(to_pixels(image, 3), time, Colours(usual_matrix(*size)))


def _overlapped(
    translator: Translator, items: Iterable[Item], save: Callable[[Item], None]
) -> Generator[int, None, None]:
    """Takes items in one thread, translates their frames on the lanes and saves all in one, in their order."""
    chunks = _chunks(iter(items), translator.batch)
    pools = decoding, lanes, encoding = (
        ThreadPoolExecutor(1, thread_name_prefix="i2i-decode"),
        ThreadPoolExecutor(translator.lanes, thread_name_prefix="i2i-lane"),
        ThreadPoolExecutor(1, thread_name_prefix="i2i-encode"),
    )
    under_way: deque[Future[list[Item]]] = deque()
    leaving: deque[Future[int]] = deque()
    done = 0

    def save_all(chunk: list[Item]) -> int:
        for item in chunk:
            save(item)
        return sum(isinstance(item, Frame) for item in chunk)

    try:
        coming = deque(decoding.submit(next, chunks, None) for _ in range(_AHEAD))
        while coming or under_way:
            if coming and (chunk := coming.popleft().result()) is not None:
                coming.append(decoding.submit(next, chunks, None))
                under_way.append(lanes.submit(_translated, translator, chunk))
            else:
                coming.clear()
            if under_way and (not coming or len(under_way) > translator.lanes):
                leaving.append(encoding.submit(save_all, under_way.popleft().result()))
            while len(leaving) > _AHEAD or (leaving and leaving[0].done()):
                done += leaving.popleft().result()
                yield done
        for future in leaving:
            done += future.result()
            yield done
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)


def _chunks(items: Iterator[Item], batch: Callable[[int, int], int]) -> Iterator[list[Item]]:
    """The items in lists with as many frames as are translated at once."""
    chunk: list[Item] = []
    frames, most = 0, 1
    for item in items:
        chunk.append(item)
        if isinstance(item, Frame):
            frames += 1
            most = batch(*item.pixels.shape[:2])
        if frames == most or len(chunk) == _CHUNK:
            yield chunk
            chunk, frames = [], 0
    if chunk:
        yield chunk


def _translated(translator: Translator, chunk: list[Item]) -> list[Item]:
    """The chunk with its frames translated, which are of one size."""
    frames = [item for item in chunk if isinstance(item, Frame)]
    if not frames:
        return chunk
    described = translator.description
    translated = translator(np.stack([_with_channels(frame.pixels, described.channels_in) for frame in frames]))
    made = (replace(frame, pixels=_with_channels(it, 3)) for frame, it in zip(frames, translated, strict=True))
    return [next(made) if isinstance(item, Frame) else item for item in chunk]


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    return pixels if pixels.shape[2] == channels else to_pixels(from_pixels(pixels), channels)
