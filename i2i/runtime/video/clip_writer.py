"""Video files that are written: RGB frames encoded, other streams' packets copied; by PyAV."""

from __future__ import annotations

from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Final, final

import numpy as np

from i2i.errors import I2IError, ImageError
from i2i.files import replacing
from i2i.runtime.devices.device import usable_cores
from i2i.runtime.video.clip import SCALING, Frame, pyav

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from av import Packet, VideoFrame
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream


WRITABLE: Final = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_LIMITED, _FULL = 1, 2  # ranges: 16 to 235, and 0 to 255


def check_writable(path: Path) -> None:
    """Raises ImageError where no video can be written to a file with the suffix of `path`."""
    if path.suffix.lower() not in WRITABLE:
        raise ImageError(f"{path}: cannot write '{path.suffix}' videos", f"Choose one of: {', '.join(WRITABLE)}")


@final
class ClipWriter:
    """A video file on its way: H.264, or VP9 in WebM, in 4:2:0; an odd side gets its last row or column twice."""

    def __init__(
        self,
        path: Path,
        container: OutputContainer,
        *,
        rate: Fraction,
        time_base: Fraction,
        others: Sequence[Stream],
        quality: int | None,
    ) -> None:
        self._path = path
        self._container = container
        self._time_base = time_base
        self._video = self._encoder(rate, quality)
        self._copies = {stream.index: self._copy(stream) for stream in others}
        self._early: list[Packet[Stream]] | None = []  # what comes before the first frame, which settles the size

    def write(self, item: Frame | Packet[Stream]) -> None:
        """Encodes a frame, or copies a packet of one of the `others`."""
        if isinstance(item, Frame):
            if self._early is not None:
                self._settle(item)
                self._container.mux(self._early)
                self._early = None
            self._container.mux(self._video.encode(self._encodable(item)))
        elif (copy := self._copies.get(item.stream.index)) is not None:
            item.stream = copy
            if self._early is not None:
                self._early.append(item)
            else:
                self._container.mux(item)

    def finish(self) -> None:
        """Encodes what the encoder has held back."""
        if self._early is None:
            self._container.mux(self._video.encode(None))

    def _encoder(self, rate: Fraction, quality: int | None) -> VideoStream:
        add, base = self._container.add_stream, self._time_base
        try:
            if self._container.format.name == "webm":
                return add("libvpx-vp9", rate, _vp9(quality), time_base=base)
            return add("libx264", rate, _h264(quality), time_base=base)
        except ValueError as error:
            raise I2IError(f"this PyAV lacks an encoder: {error}", "pip install --upgrade av") from error

    def _settle(self, first: Frame) -> None:
        stream, context, colours = self._video, self._video.codec_context, first.colours
        height, width, _ = first.pixels.shape
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.thread_count = usable_cores()
        context.color_range, context.colorspace = _LIMITED, colours.matrix
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        context.sample_aspect_ratio = colours.aspect

    def _encodable(self, item: Frame) -> VideoFrame:
        width, height, matrix = self._video.width, self._video.height, self._video.codec_context.colorspace
        pixels = item.pixels
        if pixels.shape[:2] != (height, width):
            pixels = np.pad(pixels, ((0, height - pixels.shape[0]), (0, width - pixels.shape[1]), (0, 0)), mode="edge")
        rgb = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
        frame: VideoFrame = rgb.reformat(
            format="yuv420p",
            src_color_range=_FULL,
            dst_color_range=_LIMITED,
            dst_colorspace=matrix,
            interpolation=SCALING,
        )
        frame.colorspace, frame.color_range = matrix, _LIMITED
        frame.pts, frame.time_base = item.time, self._time_base
        return frame

    def _copy(self, stream: Stream) -> Stream | None:
        """The stream of the output that takes its packets; None for subtitles that the format cannot hold."""
        try:
            copy = self._container.add_stream_from_template(stream)
        except ValueError as error:
            if stream.type == "subtitle":
                return None
            codec = getattr(stream.codec_context, "name", "unknown")  # None where FFmpeg does not know it
            raise ImageError(
                f"{self._path}: {self._path.suffix} cannot hold the audio of the input ({codec})",
                "Choose a name that ends in .mkv",
            ) from error
        copy.metadata.clear()
        if stream.language:
            copy.metadata["language"] = stream.language
        return copy


@contextmanager
def write_clip(
    path: Path,
    *,
    rate: Fraction,
    time_base: Fraction,
    others: Sequence[Stream] = (),
    quality: int | None = None,
) -> Iterator[ClipWriter]:
    """Yields a writer of `path`, which is there whole or not at all, in the format of its suffix.

    rate: frames a second, about; time_base: seconds of a unit of the frames' times; others: streams to copy;
    quality: 1 to 100. Raises ImageError or I2IError.
    """
    av = pyav()
    check_writable(path)
    form = WRITABLE[path.suffix.lower()]
    with replacing(path) as aside:
        options = {"movflags": "+faststart"} if form in ("mp4", "mov") else {}
        try:
            with av.open(f"file:{aside}", "w", format=form, container_options=options) as container:
                writer = ClipWriter(path, container, rate=rate, time_base=time_base, others=others, quality=quality)
                yield writer
                writer.finish()
        except av.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise ImageError(
                f"{path}: cannot be encoded: {error.strerror}", "Choose a name that ends in .mkv"
            ) from error


def _h264(quality: int | None) -> dict[str, str]:
    """CRF 18 by default: what is lost can hardly be seen."""
    return {"crf": str(18 if quality is None else round(51 - 0.4 * quality)), "preset": "medium"}


def _vp9(quality: int | None) -> dict[str, str]:
    crf = 24 if quality is None else round(63 - 0.5 * quality)
    return {"crf": str(crf), "b": "0", "row-mt": "1", "cpu-used": "4", "deadline": "good"}
