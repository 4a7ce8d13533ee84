"""Small videos whose frames are known, and their frames as they are decoded, by the definitions of the colours."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def pictures(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """Smooth colours that change with time, and one brighter corner, so that what is turned or late is seen."""
    rows, columns = np.mgrid[0:height, 0:width]
    made = []
    for number in range(count):
        blue = np.full_like(rows, 20 + 11 * number % 190)
        picture = np.stack([columns * 190 // width, rows * 190 // height, blue], axis=-1)
        picture[: height // 4, : width // 4] += 60
        made.append(picture.astype(np.uint8))
    return made


def clip(path: Path, frames: list[np.ndarray], *, tone: str | None = "aac", **changes: Any) -> Path:
    """A video file of these frames with hardly a loss, and a tone beside them."""
    base = changes.get("base", Fraction(1, 25))
    matrix, full = changes.get("matrix", 6), changes.get("full", False)
    with av.open(str(path), "w", format=changes.get("form")) as out:
        webm = path.suffix == ".webm"
        options = {"crf": "4", "b": "0", "cpu-used": "8"} if webm else {"crf": "1", "bf": str(changes.get("bf", 2))}
        stream = out.add_stream("libvpx-vp9" if webm else "libx264", 25, options, time_base=base)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        if "turn" in changes:
            stream.set_display_rotation(changes["turn"], hflip=changes.get("mirrored", False))
        sound = out.add_stream(tone, 48000) if tone else None
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(yuv(pixels, matrix, full), "yuv444p")
            frame.colorspace, frame.color_range = matrix, 2 if full else 1
            frame.pts, frame.time_base = changes.get("times", range(len(frames)))[number], base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            wave = 8000 * np.sin(np.arange(48000 * len(frames) // 25) * 2 * np.pi * 440 / 48000)
            heard = av.AudioFrame.from_ndarray(
                np.stack([wave, wave], -1).astype(np.int16).reshape(1, -1), "s16", "stereo"
            )
            heard.sample_rate, heard.pts = 48000, 0
            out.mux(sound.encode(heard))
            out.mux(sound.encode(None))
    return path


WEIGHTS = {6: (0.299, 0.114), 1: (0.2126, 0.0722)}  # Kr and Kb of ITU-R BT.601 and BT.709


def yuv(pixels: np.ndarray, matrix: int, full: bool) -> np.ndarray:
    """`[3, H, W]` of `[H, W, 3]`, by the definition."""
    kr, kb = WEIGHTS[matrix]
    red, green, blue = np.moveaxis(pixels.astype(float), -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = [(blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)]
    values = [luma, *(it + 128 for it in chroma)] if full else [
        16 + luma * 219 / 255, *(128 + it * 224 / 255 for it in chroma)
    ]  # fmt: skip
    return np.clip(np.rint(np.stack(values)), 0, 255).astype(np.uint8)


def rgb(frame: Any, matrix: int, full: bool = False) -> np.ndarray:
    """`[H, W, 3]` of a decoded frame, by the definition."""
    kr, kb = WEIGHTS[matrix]
    planes = frame.reformat(format="yuv444p").to_ndarray().astype(float)
    planes = planes if planes.shape[0] == 3 else np.moveaxis(planes, -1, 0)
    luma, u, v = (
        (planes[0], planes[1] - 128, planes[2] - 128)
        if full
        else ((planes[0] - 16) * 255 / 219, (planes[1] - 128) * 255 / 224, (planes[2] - 128) * 255 / 224)
    )
    red, blue = luma + (2 - 2 * kr) * v, luma + (2 - 2 * kb) * u
    return np.clip(np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue], -1), 0, 255)


def decoded(path: Path) -> tuple[list[Fraction], list[Any]]:
    with av.open(str(path)) as opened:
        frames = list(opened.decode(video=0))
    return [frame.pts * frame.time_base for frame in frames], frames


def copied(path: Path, kind: str = "audio") -> list[tuple[bytes, float]]:
    with av.open(str(path)) as opened:
        packets = [packet for packet in opened.demux(**{kind: 0}) if packet.size]
        return [(bytes(packet), round(float(packet.pts * packet.time_base), 2)) for packet in packets]


def shown(path: Path) -> list[np.ndarray]:
    return [rgb(frame, 6) for frame in decoded(path)[1]]


def close(found: np.ndarray, wanted: np.ndarray, within: float = 3) -> bool:
    return found.shape == wanted.shape and bool(np.abs(found.astype(float) - wanted).mean() < within)
