import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.errors import I2IError, ImageError
from i2i.runtime.translator import Translator
from i2i.runtime.video.video import frame_count, frames_to_video, translate_video, video_to_frames

av = pytest.importorskip("av")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("source", "target", "tone"),
    [
        ("a.mp4", "b.mp4", "aac"),
        ("a.mp4", "b.mov", "aac"),
        ("a.mov", "b.m4v", None),
        ("a.mkv", "b.mkv", "flac"),
        ("a.mkv", "b.mp4", "libmp3lame"),
        ("a.webm", "b.webm", "libopus"),
        ("a.ts", "b.mkv", "mp2"),
        ("a.avi", "b.mp4", "libmp3lame"),
    ],
)
def test_frames_are_translated_and_audio_is_copied(
    clips: Any, tmp_path: Path, inverter: Translator, source: str, target: str, tone: str | None
) -> None:
    frames = clips.pictures(19)
    given = clips.clip(tmp_path / source, frames, tone=tone)
    assert list(translate_video(inverter, given, tmp_path / target))[-1] == 19
    times, found = clips.decoded(tmp_path / target)
    start = 0 if source == "a.avi" else float(clips.decoded(given)[0][0])
    np.testing.assert_allclose([float(it) for it in times], start + np.arange(19) / 25, atol=0.001)
    assert all(clips.close(clips.rgb(frame, 6), 255 - wanted) for frame, wanted in zip(found, frames, strict=True))
    if tone:
        assert clips.copied(tmp_path / target) == clips.copied(given)
    assert sorted(it.name for it in tmp_path.iterdir()) == sorted([source, target])


def test_uneven_times_are_kept(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    times = [0, 7, 8, 90, 200, 201, 400]
    given = clips.clip(tmp_path / "a.mp4", clips.pictures(7), times=times, base=Fraction(1, 1000))
    list(translate_video(inverter, given, tmp_path / "b.mp4"))
    assert clips.decoded(tmp_path / "b.mp4")[0] == [Fraction(time, 1000) for time in times]


@pytest.mark.parametrize("turn", [0, 90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_videos_become_upright(
    clips: Any, tmp_path: Path, inverter: Translator, turn: int, mirrored: bool
) -> None:
    frames = clips.pictures(3)
    given = clips.clip(tmp_path / "a.mp4", frames, turn=turn, mirrored=mirrored, tone=None)
    list(translate_video(inverter, given, tmp_path / "b.mp4"))
    _, found = clips.decoded(tmp_path / "b.mp4")
    assert not found[0].side_data.get("DISPLAYMATRIX")
    for frame, original in zip(found, frames, strict=True):
        upright = np.rot90(original, turn // 90)
        assert clips.close(clips.rgb(frame, 6), 255 - (upright[:, ::-1] if mirrored else upright))


@pytest.mark.parametrize(("height", "width", "scale"), [(35, 51, 1), (36, 51, 1), (17, 23, 3), (16, 24, 2), (1, 1, 2)])
def test_sizes_are_kept_times_the_scale_and_made_even(
    clips: Any, tmp_path: Path, models: Any, height: int, width: int, scale: int
) -> None:
    enlarger = Translator.load(models.build(tmp_path / "m.onnx", scale=scale), "cpu")
    frames = clips.pictures(2, height, width)
    given = clips.clip(tmp_path / "a.mkv", frames, tone=None)
    list(translate_video(enlarger, given, tmp_path / "b.mp4"))
    tall, wide = height * scale, width * scale
    for found, wanted in zip(clips.shown(tmp_path / "b.mp4"), frames, strict=True):
        assert found.shape == (tall + tall % 2, wide + wide % 2, 3)
        assert clips.close(found[:tall, :wide], 255 - np.kron(wanted, np.ones((scale, scale, 1), int)), 4)
        assert clips.close(found[-1], found[tall - 1], 4)


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
def test_colours_are_what_the_file_says(
    clips: Any, tmp_path: Path, inverter: Translator, matrix: int, full: bool
) -> None:
    patches = RNG.integers(30, 225, (4, 6, 3)).repeat(16, axis=0).repeat(16, axis=1).astype(np.uint8)
    given = clips.clip(tmp_path / "a.mkv", [patches], matrix=matrix, full=full, tone=None)
    list(video_to_frames(inverter, given, tmp_path / "frames"))
    list(translate_video(inverter, given, tmp_path / "b.mp4", quality=100))
    exact = np.asarray(Image.open(tmp_path / "frames" / "000001.png")).astype(int)
    assert np.abs(exact - (255 - patches.astype(int)))[8::16, 8::16].max() <= 4
    _, (frame,) = clips.decoded(tmp_path / "b.mp4")
    assert (frame.colorspace, frame.color_range) == (matrix, 1)
    assert np.abs(clips.rgb(frame, matrix) - (255 - patches.astype(int)))[8::16, 8::16].max() <= 6


def test_grey_models_and_models_with_alpha(clips: Any, tmp_path: Path, models: Any) -> None:
    given = clips.clip(tmp_path / "a.mp4", clips.pictures(2), tone=None)
    for channels_in, channels_out in ((1, 1), (1, 3), (4, 3)):
        model = models.build(tmp_path / "m.onnx", channels_in=channels_in, channels_out=channels_out)
        list(translate_video(Translator.load(model, "cpu"), given, tmp_path / "b.mp4"))
        grey = clips.pictures(1)[0] @ np.array([0.299, 0.587, 0.114])
        wanted = 255 - (np.stack([grey] * 3, -1) if channels_in == 1 else clips.pictures(1)[0])
        assert clips.close(clips.shown(tmp_path / "b.mp4")[0], wanted)


def test_frames_out_and_frames_in(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    given = clips.clip(tmp_path / "a.mp4", clips.pictures(11))
    assert frame_count(given) == 11
    assert list(video_to_frames(inverter, given, tmp_path / "frames"))[-1] == 11
    names = sorted((tmp_path / "frames").iterdir())
    assert [it.name for it in names] == [f"{number:06}.png" for number in range(1, 12)]
    assert all(clips.close(np.asarray(Image.open(it)), 255 - clips.rgb(frame, 6), 1.5) for it, frame in zip(
        names, clips.decoded(given)[1], strict=True
    ))  # fmt: skip
    assert list(frames_to_video(inverter, names, tmp_path / "b.mp4", rate=Fraction(30000, 1001)))[-1] == 11
    times, _ = clips.decoded(tmp_path / "b.mp4")
    assert times == [number * Fraction(1001, 30000) for number in range(11)]
    assert all(clips.close(*it) for it in zip(clips.shown(tmp_path / "b.mp4"), clips.pictures(11), strict=True))
    with pytest.raises(I2IError, match="already exists"):
        list(video_to_frames(inverter, given, tmp_path / "frames"))
    Image.new("RGB", (9, 9)).save(names[5])
    with pytest.raises(ImageError, match=r"000006.png: is 9 x 9 pixels, and .*000001.png is 96 x 64"):
        list(frames_to_video(inverter, names, tmp_path / "c.mp4", rate=Fraction(25)))
    assert not (tmp_path / "c.mp4").exists()


def test_subtitles_are_copied_where_the_format_holds_them(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    words = tmp_path / "words.srt"
    words.write_text("1\n00:00:00,100 --> 00:00:00,300\nhello\n\n2\n00:00:00,400 --> 00:00:00,500\nthere\n\n")
    given, both = clips.clip(tmp_path / "a.mkv", clips.pictures(20), tone="flac"), tmp_path / "both.mkv"
    with av.open(str(given)) as first, av.open(str(words)) as second, av.open(str(both), "w") as out:
        copies = {it: out.add_stream_from_template(it, opaque=True) for it in (*first.streams, *second.streams)}
        for packet in (*second.demux(), *first.demux()):
            if packet.size:
                packet.stream = copies[packet.stream]
                out.mux(packet)
    for name in ("c.mkv", "c.mp4"):
        list(translate_video(inverter, both, tmp_path / name))
        assert len(clips.decoded(tmp_path / name)[0]) == 20
    assert clips.copied(tmp_path / "c.mkv", "subtitles") == [(b"hello", 0.1), (b"there", 0.4)]
    assert clips.copied(tmp_path / "c.mkv") == clips.copied(given) == clips.copied(tmp_path / "c.mp4")


def test_one_frame(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    given = clips.clip(tmp_path / "a.mp4", clips.pictures(1), tone=None)
    assert list(translate_video(inverter, given, tmp_path / "b.mp4")) == [1]
    assert clips.close(clips.shown(tmp_path / "b.mp4")[0], 255 - clips.pictures(1)[0])


@pytest.mark.parametrize(("lanes", "batch"), [(1, 1), (1, 8), (3, 1), (4, 5)])
def test_frames_are_given_to_the_model_as_it_likes_them(
    clips: Any, tmp_path: Path, inverter: Translator, lanes: int, batch: int
) -> None:
    shapes, threads = [], set()

    class Recording:
        description = inverter.description

        def __init__(self) -> None:
            self.lanes = lanes

        def batch(self, height: int, width: int) -> int:
            assert (height, width) == (64, 96)
            return batch

        def __call__(self, pixels: np.ndarray) -> np.ndarray:
            shapes.append(pixels.shape)
            threads.add(threading.get_ident())
            return inverter(pixels)

    frames = clips.pictures(19)
    list(translate_video(Recording(), clips.clip(tmp_path / "a.mp4", frames), tmp_path / "b.mp4"))
    assert sorted(it[0] for it in shapes) == sorted([batch] * (19 // batch) + [19 % batch] * (19 % batch > 0))
    assert len(threads) <= lanes
    assert all(
        clips.close(found, 255 - wanted) for found, wanted in zip(clips.shown(tmp_path / "b.mp4"), frames, strict=True)
    )


def test_quality_sets_the_size(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (64, 96, 3), dtype=np.uint8) for _ in range(5)]
    for source, target in (("a.mp4", "b.mp4"), ("a.webm", "b.webm")):
        given = clips.clip(tmp_path / source, frames, tone=None)
        sizes = []
        for quality in (10, 60, 95):
            list(translate_video(inverter, given, tmp_path / target, quality=quality))
            sizes.append((tmp_path / target).stat().st_size)
        assert sizes[0] * 1.5 < sizes[1] < sizes[2] / 1.1
