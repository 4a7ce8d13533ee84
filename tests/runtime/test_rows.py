import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i import images
from i2i.errors import I2IError, ImageError
from i2i.runtime.strips.rows import ArraySource, open_source

RNG = np.random.default_rng(0)


def picture(mode: str, height: int = 61, width: int = 83) -> Image.Image:
    if mode.startswith("I;16"):
        return Image.fromarray(RNG.integers(0, 65536, (height, width), dtype=np.uint16))
    if mode == "PA":
        return Image.fromarray(RNG.integers(0, 256, (height, width, 4), np.uint8)).quantize(16)
    if mode in ("LA", "RGBA"):
        return Image.fromarray(RNG.integers(0, 256, (height, width, len(mode)), np.uint8))
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), np.uint8)).convert(mode)


def whole(path: Path, channels: int) -> np.ndarray:
    return images.to_pixels(images.read(path), channels)


KINDS = [
    *[(".png", mode, {}) for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")],
    (".png", "RGB", {"transparency": (1, 2, 3)}),
    (".png", "P", {"transparency": 3}),
    *[(".jpg", mode, {"quality": 90}) for mode in ("L", "RGB", "CMYK", "YCbCr")],
    (".jpg", "RGB", {"quality": 85, "progressive": True}),
    (".jpg", "RGB", {"quality": 85, "subsampling": 0}),
    *[(".tif", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "LAB")],
    *[(".tif", mode, {"compression": "tiff_adobe_deflate"}) for mode in ("L", "RGB", "RGBA")],
    (".tif", "RGB", {"compression": "jpeg"}),
    (".tif", "RGB", {"compression": "tiff_lzw", "big_tiff": True}),
    *[(".webp", mode, {"lossless": True}) for mode in ("L", "RGB", "RGBA")],
    (".webp", "RGB", {"quality": 80}),
    (".bmp", "RGB", {}),
    (".bmp", "L", {}),
    (".gif", "P", {}),
    (".ppm", "RGB", {}),
]


@pytest.mark.parametrize(("suffix", "mode", "options"), KINDS)
def test_windows_are_those_of_the_image_that_is_read_whole(
    tmp_path: Path, decoder: str, suffix: str, mode: str, options: dict[str, Any]
) -> None:
    path = tmp_path / f"a{suffix}"
    picture(mode).save(path, **options)
    for channels in (1, 2, 3, 4):
        wanted = whole(path, channels)
        with open_source(path, channels, tmp_path) as source:
            assert (source.height, source.width, source.channels) == wanted.shape
            np.testing.assert_array_equal(source.read(0, 61, 0, 83), wanted)
            for top, bottom, left, right in [
                (0, 1, 0, 1),
                (60, 61, 82, 83),
                (7, 40, 0, 83),
                (5, 9, 30, 77),
                (0, 61, 3, 4),
            ]:
                np.testing.assert_array_equal(source.read(top, bottom, left, right), wanted[top:bottom, left:right])
            alpha = images.read(path)
            assert (source.alpha is not None) == ("A" in alpha.mode and channels in (1, 3))
            if source.alpha is not None:
                np.testing.assert_array_equal(
                    source.alpha.read(0, 61, 0, 83)[..., 0], np.asarray(alpha.getchannel("A"))
                )
    assert [it.name for it in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (".jpg", "L"),
        (".jpg", "RGB"),
        *((it, mode) for it in (".png", ".tif", ".webp") for mode in ("L", "RGB", "P", "RGBA")),
    ],
)
def test_images_are_turned_as_exif_says(tmp_path: Path, decoder: str, suffix: str, mode: str) -> None:
    exif, path = Image.Exif(), tmp_path / f"a{suffix}"
    for orientation in range(10):
        exif[0x0112] = orientation
        picture(mode, 13, 29).save(path, exif=exif)
        wanted = whole(path, 3)
        with open_source(path, 3, tmp_path) as source:
            assert (source.height, source.width, 3) == wanted.shape
            np.testing.assert_array_equal(source.read(0, source.height, 0, source.width), wanted)
            np.testing.assert_array_equal(source.read(3, 11, 2, 9), wanted[3:11, 2:9])
            if source.alpha is not None:
                alpha = np.asarray(images.read(path).getchannel("A"))
                np.testing.assert_array_equal(source.alpha.read(3, 11, 2, 9)[..., 0], alpha[3:11, 2:9])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def turned() -> dict[str, bytes]:
    """What a PNG may say to be turned by a quarter, or something else."""
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes()
    raw = f"\nexif\n{len(body):8}\n{body.hex()}\n".encode()
    xmp = b'<x:xmpmeta tiff:Orientation="6"></x:xmpmeta>'
    return {
        "EXIF": chunk(b"eXIf", body[6:]),
        "EXIF as text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
        "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        "nothing": chunk(b"tEXt", b"Software\0paint") + chunk(b"tEXt", b""),
    }


@pytest.mark.parametrize("kind", turned())
@pytest.mark.parametrize("late", [False, True])
def test_a_png_says_in_many_ways_how_it_is_turned(tmp_path: Path, decoder: str, kind: str, late: bool) -> None:
    plain = io.BytesIO()
    picture("RGB", 13, 29).save(plain, "PNG")
    data, at = plain.getvalue(), len(plain.getvalue()) - 12 if late else 33
    path = tmp_path / "a.png"
    path.write_bytes(data[:at] + turned()[kind] + data[at:])
    wanted = whole(path, 3)
    assert wanted.shape == ((13, 29, 3) if kind == "nothing" else (29, 13, 3))
    with open_source(path, 3, tmp_path) as source:
        np.testing.assert_array_equal(source.read(0, wanted.shape[0], 0, wanted.shape[1]), wanted)


@pytest.mark.parametrize(("suffix", "form"), [(".tif", "TIFF"), (".jpg", "MPO"), (".png", "PNG"), (".webp", "WEBP")])
def test_of_several_images_the_first_is_read(tmp_path: Path, decoder: str, suffix: str, form: str) -> None:
    path = tmp_path / f"a{suffix}"
    picture("RGB").save(path, form, save_all=True, append_images=[picture("RGB"), picture("RGB")])
    with open_source(path, 3, tmp_path) as source:
        np.testing.assert_array_equal(source.read(0, 61, 0, 83), whole(path, 3))


def test_large_images_come_in_strips(tmp_path: Path, decoder: str) -> None:
    pixels = np.broadcast_to(RNG.integers(0, 256, (1, 1300, 3), np.uint8), (1200, 1300, 3)).copy()
    pixels[:, 0] = np.arange(1200)[:, None] % 251
    Image.fromarray(pixels).save(tmp_path / "a.png", compress_level=1)
    with open_source(tmp_path / "a.png", 3, tmp_path) as source:
        np.testing.assert_array_equal(source.read(0, 1200, 0, 1300), pixels)


def test_an_array_is_a_source() -> None:
    pixels = RNG.integers(1, 256, (9, 7, 3), np.uint8)
    source = ArraySource(pixels)
    assert (source.height, source.width, source.channels) == (9, 7, 3)
    window = source.read(2, 5, 1, 7)
    np.testing.assert_array_equal(window, pixels[2:5, 1:7])
    window[:] = 0
    assert pixels.any()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_broken_files_are_named(tmp_path: Path, decoder: str, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    picture("RGB", 300, 400).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ImageError, match=rf"a\{suffix}: "), open_source(path, 3, tmp_path):
        pass
    assert [it.name for it in tmp_path.iterdir()] == [path.name]


def test_limits_of_pixels(tmp_path: Path, decoder: str) -> None:
    picture("RGB").save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="83 x 61 pixels, over the limit of 5,000"):
        open_source(tmp_path / "a.png", 3, tmp_path, max_pixels=5000).__enter__()


def test_a_disk_without_room_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoder: str) -> None:
    picture("RGBA").save(tmp_path / "a.png")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 83 * 61 * 4 - 1}))
    with open_source(tmp_path / "a.png", 1, tmp_path) as source:
        assert source.alpha is not None
    with pytest.raises(ImageError, match="GiB"), open_source(tmp_path / "a.png", 3, tmp_path):
        pass
    assert [it.name for it in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="names of files are Unicode there")
def test_names_that_are_not_utf_8(tmp_path: Path, decoder: str) -> None:
    path = tmp_path / os.fsdecode(b"a\xff.png")
    picture("RGB").save(path)
    with open_source(path, 3, tmp_path) as source:
        np.testing.assert_array_equal(source.read(0, 61, 0, 83), whole(path, 3))


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of a file's size")
def test_a_full_disk_leaves_nothing(tmp_path: Path, decoder: str) -> None:
    import resource

    picture("RGB", 200, 200).save(tmp_path / "a.png")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(I2IError, match="cannot be written"), open_source(tmp_path / "a.png", 3, tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [it.name for it in tmp_path.iterdir()] == ["a.png"]
