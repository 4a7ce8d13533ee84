"""Video files that are read: one stream as upright RGB frames, the others as packets to copy; by PyAV."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from i2i.errors import I2IError, ImageError
from i2i.images import MAX_PIXELS
from i2i.runtime.devices.device import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

    from i2i.images import Pixels

VIDEOS: Final = frozenset(  # suffixes of files that are read
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv"}
    | {".wmv", ".ogv"}
)
# Containers only. A playlist (HLS, DASH, concat) under any name would have FFmpeg open what it lists.
_DEMUXERS: Final = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg"
# Those in use; FFmpeg has some hundreds more, many for one old game, that a file could have run on its data.
_PICTURES: Final = (
    *("h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9", "theora", "h263", "flv"),
    *("mpeg4", "msmpeg4v3", "mpeg2video", "mpeg1video", "wmv2", "wmv3", "vc1", "mjpeg", "png", "prores", "dnxhd"),
    *("ffv1", "huffyuv", "ffvhuff", "rawvideo", "v210"),
)
_SOUNDS: Final = (
    *("aac", "mp3", "mp3float", "mp2", "mp2float", "opus", "libopus", "vorbis", "flac", "alac", "ac3", "eac3"),
    *("wmav2", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_f32le"),
)
_BT709, _UNSPECIFIED, _BT601, _BT2020 = 1, 2, 6, 9  # ITU-T H.273, table 4: matrix coefficients
_FULL_RANGE: Final = 2
# Bicubic chroma at full resolution, rounded and not cut (libswscale's flags): PyAV names them only from 18 on.
SCALING: Final = 0x4 | 0x2000 | 0x4000 | 0x40000


@dataclass(frozen=True)
class Colours:
    """How a stream's values mean colours, as numbers of ITU-T H.273, and the shape of its pixels."""

    matrix: int
    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED
    aspect: Fraction = Fraction(1)  # width of a pixel over its height


@dataclass(frozen=True)
class Frame:
    """A frame, uint8 `[H, W, 3]` RGB and upright, its time in units of the clip's `time_base`, and its colours."""

    pixels: Pixels
    time: int
    colours: Colours


@final
class Clip:
    """A video file that is open; iterating gives its frames, and the packets of its other streams, in the file's order.

    Of several video streams the best is read, cover pictures never. Raises ImageError, which names the file, where it
    is no video, is broken or cut short, or has frames of more than `max_pixels`.
    """

    def __init__(self, path: Path, container: InputContainer, max_pixels: int) -> None:
        self.path = path
        self._container = container
        self._stream = _video(path, container)
        self._max_pixels = max_pixels
        self._check_size(self._stream.width, self._stream.height)
        self.rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self.time_base = self._stream.time_base or 1 / self.rate
        self.others: list[Stream] = [it for it in container.streams if it.type in ("audio", "subtitle")]
        self._size: tuple[int, int] | None = None  # of the first frame; a stream may change on the way, the output not

    @property
    def frames(self) -> int | None:
        """How many there are, by what the file says of itself, or None."""
        if self._stream.frames:
            return self._stream.frames
        if self._stream.duration:
            return max(1, round(self._stream.duration * self.time_base * self.rate))
        if self._container.duration:
            return max(1, round(Fraction(self._container.duration, 1_000_000) * self.rate))
        return None

    def __iter__(self) -> Iterator[Frame | Packet[Stream]]:
        stream, step = self._stream, 1 / (self.rate * self.time_base)
        stream.thread_type, stream.thread_count = "AUTO", usable_cores()
        untimed = self._container.format.name == "avi"  # FFmpeg's times are those of decoding there, not of showing
        last: int | None = None
        with naming(self.path):
            for packet in self._packets():
                if packet.stream is not stream:
                    if packet.size:  # the last of each stream is empty: it flushes a decoder
                        yield packet
                    continue
                for frame in stream.decode(packet):
                    following = 0 if last is None else last + max(1, round(step))
                    time = following if frame.pts is None or untimed else frame.pts
                    last = time if last is None else max(time, last + 1)  # encoders take no time twice
                    yield self._upright(frame, last)
        if last is None:
            raise ImageError(f"{self.path}: holds no frames", "Give a video file.")

    def _packets(self) -> Iterator[Packet[Stream]]:
        """All packets; raises ImageError at the end where the file's index or its duration promises more."""
        form = self._container.format.name
        expected = len(self._stream.index_entries) if "mov" in form else 0
        found, end = 0, Fraction(0)
        for packet in self._container.demux():
            if packet.is_corrupt:
                raise ImageError(f"{self.path}: broken at {float(end):.2f} s", _RESTORE)
            found += packet.stream is self._stream and packet.size > 0
            time = packet.dts if packet.pts is None else packet.pts
            if time is not None:
                end = max(end, (time + (packet.duration or 0)) * packet.time_base)
            yield packet
        whole = Fraction(self._container.duration or 0, 1_000_000)
        missing = whole - (end - Fraction(self._container.start_time or 0, 1_000_000))
        # The others' duration is not in the file: it is where the last packet ends.
        late = ("matroska" in form or form == "avi") and missing > max(Fraction(1, 2), whole / 50)
        if late or found < expected:
            raise ImageError(f"{self.path}: cut short: it ends at {float(end):.2f} s of {float(whole):.2f} s", _RESTORE)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise ImageError(
                f"{self.path}: {width} x {height} pixels, over the limit of {self._max_pixels:,}",
                "Make it smaller, or allow more with --max-pixels.",
            )

    def _upright(self, frame: VideoFrame, time: int) -> Frame:
        self._check_size(frame.width, frame.height)
        self._size = self._size or (frame.width, frame.height)
        matrix = _matrix(frame)
        rgb = frame.reformat(
            *self._size,
            "rgb24",
            src_colorspace=matrix,
            interpolation=SCALING,
            dst_color_range=_FULL_RANGE,
        )
        turn = _Turn.of(frame)
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        colours = Colours(matrix, frame.color_primaries, frame.color_trc, 1 / aspect if turn.swapped else aspect)
        return Frame(turn.apply(np.asarray(rgb.to_ndarray(), np.uint8)), time, colours)


@dataclass(frozen=True)
class _Turn:
    """How a frame is to be turned to be upright: rows for columns first, then either mirrored."""

    swapped: bool = False
    upside_down: bool = False
    mirrored: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> _Turn:
        """By its display matrix (ISO/IEC 14496-12, 6.2.2): x' = a x + c y, y' = b x + d y; only quarter turns."""
        matrix: Any = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return cls()
        a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), np.int32).tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(swapped=False, upside_down=d < 0, mirrored=a < 0)
        return cls(swapped=True, upside_down=b < 0, mirrored=c < 0)

    def apply(self, pixels: Pixels) -> Pixels:
        if self.swapped:
            pixels = pixels.swapaxes(0, 1)
        if self.upside_down:
            pixels = pixels[::-1]
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)


@contextmanager
def open_clip(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Clip]:
    """Opens a video file; nothing but the file itself is read, whatever it refers to."""
    av = pyav()
    codecs = ",".join(_PICTURES + _SOUNDS)
    options = {"format_whitelist": _DEMUXERS, "codec_whitelist": codecs, "protocol_whitelist": "file"}
    with naming(path):
        container = av.open(f"file:{path}", "r", container_options=options, metadata_errors="replace")
    with container:
        yield Clip(path, container, max_pixels)


def pyav() -> ModuleType:
    """The module `av`; raises I2IError where it is not installed."""
    try:
        import av  # noqa: PLC0415 - of the extra `video`
    except ImportError as error:
        raise I2IError(f"video needs PyAV, which cannot be imported ({error})", "pip install 'i2i[video]'") from None
    return av


def usual_matrix(width: int, height: int) -> int:
    """The matrix coefficients that players assume of a video of this size that does not name them."""
    return _BT709 if width >= 1280 or height > 576 else _BT601


def _matrix(frame: VideoFrame) -> int:
    known = {1: _BT709, 4: 4, 5: 5, 6: _BT601, 7: 7, 9: _BT2020, 10: _BT2020}
    return known.get(frame.colorspace, usual_matrix(frame.width, frame.height))


_RESTORE: Final = "Restore the file, or repair it: ffmpeg -i FILE -c copy REPAIRED.mkv"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turns PyAV's errors into ImageError about `path`."""
    av = pyav()
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ImageError(f"{path}: {error.strerror}") from None
    except av.FFmpegError as error:
        raise ImageError(f"{path}: not a video that can be read: {error.strerror}", _READABLE) from error


_READABLE: Final = f"Video files end in {', '.join(sorted(VIDEOS))}."


def _video(path: Path, container: InputContainer) -> VideoStream:
    picture = pyav().stream.Disposition.attached_pic
    best = container.streams.best("video")
    for stream in (best, *container.streams.video) if best is not None else ():
        if stream.disposition & picture or stream.codec_context is None:
            continue
        codec = stream.codec_context.codec.name
        if codec not in _PICTURES:
            raise ImageError(f"{path}: is coded as {codec}, which is not read", "Convert it: ffmpeg -i FILE OTHER.mp4")
        return stream  # type: ignore[return-value]
    raise ImageError(f"{path}: holds no video", _READABLE)
