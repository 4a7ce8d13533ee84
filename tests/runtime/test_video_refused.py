"""Videos that are not translated, or not to their end, and what is left of their outputs: nothing."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.errors import I2IError, ImageError
from i2i.runtime.translator import Translator
from i2i.runtime.video.video import translate_video

av = pytest.importorskip("av")


def wrong(clips: Any, folder: Path, kind: str) -> Path:
    path = folder / "a.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("no video\n" * 1000)
    elif kind == "image":
        Image.new("RGB", (64, 64)).save(path, "PNG")
    elif kind == "playlist":
        clips.clip(folder / "secret.ts", clips.pictures(3), tone=None)
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    elif kind == "concatenation":
        clips.clip(folder / "secret.mp4", clips.pictures(3), tone=None)
        path.write_text("ffconcat version 1.0\nfile secret.mp4\n")
    elif kind in ("sound", "cover"):
        with av.open(str(path), "w", format="mp4") as out:
            stream = out.add_stream("aac", 48000)
            if kind == "cover":
                cover = out.add_stream("mjpeg", 1)
                cover.width = cover.height = 16
                cover.pix_fmt, cover.disposition = "yuvj420p", 0x400  # AV_DISPOSITION_ATTACHED_PIC
                out.mux(cover.encode(av.VideoFrame(16, 16, "yuvj420p")))
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), "s16", "stereo")
            frame.sample_rate = 48000
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    elif kind == "old":
        with av.open(str(path), "w", format="mov") as out:
            old = out.add_stream("cinepak", 25)
            old.width, old.height, old.pix_fmt = 96, 64, "rgb24"
            out.mux(old.encode(av.VideoFrame.from_ndarray(clips.pictures(1)[0], "rgb24")))
            out.mux(old.encode(None))
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "No such file"),
        ("folder", "directory"),
        ("empty", "not a video"),
        ("text", "not a video"),
        ("image", "not a video"),
        ("playlist", "not a video"),
        ("concatenation", "not a video"),
        ("sound", "holds no video"),
        ("cover", "holds no video"),
        ("old", "is coded as cinepak"),
    ],
)
def test_what_is_no_video_is_refused_by_name(
    clips: Any, tmp_path: Path, inverter: Translator, kind: str, reason: str
) -> None:
    path = wrong(clips, tmp_path, kind)
    before = set(tmp_path.iterdir())
    with pytest.raises(ImageError, match=rf"a\.mp4: .*{reason}"):
        list(translate_video(inverter, path, tmp_path / "b.mp4"))
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_a_video_that_was_cut_short_is_refused(
    clips: Any, tmp_path: Path, inverter: Translator, name: str, share: float
) -> None:
    whole = clips.clip(tmp_path / name, clips.pictures(100), form={"a.mp4": "mp4"}.get(name), tone=None)
    cut = tmp_path / f"cut{whole.suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    with pytest.raises(ImageError, match="cut"):
        list(translate_video(inverter, cut, tmp_path / "b.mp4"))
    assert not (tmp_path / "b.mp4").exists()


def test_targets_that_cannot_be(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    given = clips.clip(tmp_path / "a.mp4", clips.pictures(2))
    with pytest.raises(ImageError, match=r"cannot write '.wmv' videos"):
        list(translate_video(inverter, given, tmp_path / "b.wmv"))
    with pytest.raises(ImageError, match=r"b.webm: .webm cannot hold the audio of the input \(aac\)"):
        list(translate_video(inverter, given, tmp_path / "b.webm"))
    with pytest.raises(ImageError, match="over the limit of 6,000"):
        list(translate_video(inverter, given, tmp_path / "b.mp4", max_pixels=6000))
    (tmp_path / "file").touch()
    with pytest.raises(I2IError, match="cannot be written"):
        list(translate_video(inverter, given, tmp_path / "file" / "b.mp4"))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["a.mp4", "file"]


def test_closing_early_leaves_what_was_there(clips: Any, tmp_path: Path, inverter: Translator) -> None:
    given, target = clips.clip(tmp_path / "a.mp4", clips.pictures(60)), tmp_path / "b.mp4"
    target.write_text("before")
    with closing(translate_video(inverter, given, target)) as done:
        assert next(done) > 0
    assert target.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of a file's size")
@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_a_full_disk_leaves_nothing(clips: Any, tmp_path: Path, inverter: Translator, name: str) -> None:
    import resource

    given = clips.clip(tmp_path / "a.mp4", clips.pictures(60))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, hard))
    try:
        with pytest.raises(I2IError, match=rf"{name}: cannot be written"):
            list(translate_video(inverter, given, tmp_path / name))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [it.name for it in tmp_path.iterdir()] == ["a.mp4"]


def test_without_pyav_it_says_what_to_install(
    clips: Any, tmp_path: Path, inverter: Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(I2IError, match=r"pip install 'i2i\[video\]'"):
        list(translate_video(inverter, tmp_path / "a.mp4", tmp_path / "b.mp4"))
