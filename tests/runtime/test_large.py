import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from i2i import images
from i2i.errors import I2IError, ImageError
from i2i.runtime.strips.large import is_large, translate_large
from i2i.runtime.strips.rows import Source
from i2i.runtime.translator import Translator

RNG = np.random.default_rng(0)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


class InStrips:
    """A translator that gives strips of a few rows, whatever memory there is."""

    def __init__(self, translator: Translator, step: int) -> None:
        self._translator = translator
        self._step = step
        self.description = translator.description

    def rows(self, source: Source) -> Iterator[np.ndarray]:
        for top in range(0, source.height, self._step):
            bottom = min(source.height, top + self._step)
            yield self._translator(source.read(top, bottom, 0, source.width))


def translator(models: Any, folder: Path, **changes: Any) -> tuple[Translator, Any]:
    opened = Translator.load(models.build(folder / "m.onnx", **changes), "cpu")
    return opened, InStrips(opened, 7)


def picture(mode: str) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    return images.from_pixels(RNG.integers(0, 256, (37, 53, bands), np.uint8))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [(3, 3), (1, 1), (4, 4), (3, 1)])
@pytest.mark.parametrize("scale", [1, 3])
def test_the_result_is_that_of_the_whole_image(
    tmp_path: Path, models: Any, mode: str, channels: tuple[int, int], scale: int
) -> None:
    whole, _ = translator(models, tmp_path, channels_in=channels[0], channels_out=channels[1], scale=scale)
    picture(mode).save(tmp_path / "a.png")
    for flatten, step in ((False, 1), (False, 7), (True, 100)):
        done = list(translate_large(InStrips(whole, step), tmp_path / "a.png", tmp_path / "b.png", flatten=flatten))
        wanted = whole(images.read(tmp_path / "a.png"), flatten=flatten)
        found = images.read(tmp_path / "b.png")
        assert found.mode == wanted.mode
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
        assert done == [(min(37, top + step) * scale, 53 * scale, 37 * scale) for top in range(0, 37, step)]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("keep", [False, True])
def test_files_are_those_of_the_whole_image(tmp_path: Path, models: Any, suffix: str, keep: bool) -> None:
    whole, strips = translator(models, tmp_path)
    exif = Image.Exif()
    exif[0x0112], exif[0x0110] = 6, "camera"
    given, target, other = tmp_path / "a.jpg", tmp_path / f"b{suffix}", tmp_path / f"c{suffix}"
    picture("RGB").save(given, exif=exif, icc_profile=PROFILE, quality=90)
    list(translate_large(strips, given, target, quality=80, keep_metadata=keep))
    image, beside = images.read_whole(given, everything=keep)
    images.write(whole(image), other, quality=80, beside=beside)

    def said(path: Path) -> list[Any]:
        with Image.open(path) as opened:
            opened.load()
            exif = opened.getexif()
            return [opened.size, opened.mode, opened.info.get("icc_profile"), exif.get(0x0110), exif.get(0x0112, 1)]

    assert said(target) == said(other)
    assert said(target)[3] == ("camera" if keep and suffix != ".bmp" else None)
    assert 0.8 < target.stat().st_size / other.stat().st_size < 1.25
    difference = np.abs(np.asarray(images.read(target)).astype(int) - np.asarray(images.read(other)))
    assert difference.mean() <= (6 if suffix in (".jpg", ".webp") else 0)


def test_folders_are_made(tmp_path: Path, models: Any) -> None:
    _, strips = translator(models, tmp_path)
    picture("RGB").save(tmp_path / "a.png")
    list(translate_large(strips, tmp_path / "a.png", tmp_path / "new" / "folder" / "b.png"))
    assert images.read(tmp_path / "new" / "folder" / "b.png").size == (53, 37)
    (tmp_path / "file").touch()
    with pytest.raises(I2IError, match=r"b.png: cannot be written"):
        list(translate_large(strips, tmp_path / "a.png", tmp_path / "file" / "b.png"))


def test_what_cannot_be_is_refused_before_it_is_translated(tmp_path: Path, models: Any) -> None:
    _, enlarger = translator(models, tmp_path, scale=400)
    picture("RGB").save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"b.webp: WEBP cannot hold 21200 x 14800 pixels"):
        next(translate_large(enlarger, tmp_path / "a.png", tmp_path / "b.webp"))
    with pytest.raises(ImageError, match=r"cannot write '.gif'"):
        next(translate_large(enlarger, tmp_path / "a.png", tmp_path / "b.gif"))
    with pytest.raises(ImageError, match=r"over the limit of 1,000"):
        next(translate_large(enlarger, tmp_path / "a.png", tmp_path / "b.png", max_pixels=1000))
    assert sorted(it.name for it in tmp_path.iterdir()) == ["a.png", "m.onnx"]


def test_what_is_large_is_seen_in_the_header(tmp_path: Path) -> None:
    for height, large in ((64, False), (8192, True)):
        Image.new("1", (4096, height)).save(tmp_path / "a.png")
        assert is_large(tmp_path / "a.png") == large
    Image.new("1", (4096, 1024)).save(tmp_path / "b.png")
    assert [is_large(tmp_path / "b.png", scale=scale) for scale in (1, 2, 3)] == [False, False, True]
    with pytest.raises(ImageError, match=r"a.png: 4096 x 8192 pixels, over the limit"):
        is_large(tmp_path / "a.png", max_pixels=2**24)
    (tmp_path / "a.png").write_text("nothing")
    with pytest.raises(ImageError, match=r"a.png: not an image"):
        is_large(tmp_path / "a.png")


def test_pillows_own_limit_is_raised_for_that_image_alone(tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("1", (1, 1)).save(image, "PNG")
    data = bytearray(image.getvalue())
    data[16:24] = struct.pack(">II", 20_000, 10_000)  # Pillow ends at 178,956,970 pixels
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    before = Image.MAX_IMAGE_PIXELS
    assert is_large(tmp_path / "a.png", max_pixels=200_000_000)
    assert before == Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match="limit"):
        is_large(tmp_path / "a.png")


def test_closing_early_leaves_what_was_there(tmp_path: Path, models: Any) -> None:
    _, strips = translator(models, tmp_path)
    picture("RGB").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("before")
    with closing(translate_large(strips, tmp_path / "a.png", tmp_path / "b.png")) as done:
        next(done)
    assert (tmp_path / "b.png").read_text() == "before"
    assert sorted(it.name for it in tmp_path.iterdir()) == ["a.png", "b.png", "m.onnx"]
