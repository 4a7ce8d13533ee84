import errno
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from i2i import images
from i2i.errors import I2IError, ImageError
from i2i.metadata import NOTHING, Metadata
from i2i.runtime.strips import rows_vips
from i2i.runtime.strips.rows_write import open_sink

RNG = np.random.default_rng(0)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photo(height: int, width: int, channels: int) -> np.ndarray:
    """Smooth, with some noise."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [128 + 100 * np.sin(rows / (5 + it) + columns / (9 - it)) for it in range(channels)]
    return np.clip(np.stack(waves, -1) + RNG.normal(0, 6, (height, width, channels)), 0, 255).astype(np.uint8)


def written(path: Path, pixels: np.ndarray, step: int = 7, **options: Any) -> Image.Image:
    height, width, channels = pixels.shape
    with open_sink(path, width, height, channels, **options) as sink:
        for top in range(0, height, step):
            sink.write(pixels[top : top + step])
    return images.read(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".jpg", ".webp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_is_what_is_read(tmp_path: Path, decoder: str, suffix: str, channels: int) -> None:
    for size in ((61, 83), (1, 1), (1, 300), (300, 1)):
        pixels = photo(*size, channels)
        images.write(images.from_pixels(pixels), tmp_path / f"whole{suffix}")
        wanted = images.read(tmp_path / f"whole{suffix}")
        found = written(tmp_path / f"rows{suffix}", pixels)
        assert (found.mode, found.size) == (wanted.mode, wanted.size)
        difference = np.abs(np.asarray(found).astype(int) - np.asarray(wanted))
        assert difference.max() <= {".jpg": 4, ".webp": 12}.get(suffix, 0)
        assert difference.mean() <= 1
        with Image.open(tmp_path / f"rows{suffix}") as opened:
            assert opened.format == images.WRITABLE[suffix]


def test_photographs_are_as_small_as_pillow_makes_them(tmp_path: Path) -> None:
    pixels = photo(400, 600, 3)
    written(tmp_path / "rows.png", pixels, 33)
    images.write(images.from_pixels(pixels), tmp_path / "whole.png")
    assert (tmp_path / "rows.png").stat().st_size < 1.05 * (tmp_path / "whole.png").stat().st_size


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("xmp", [None, b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>words</x:xmpmeta>"])
def test_metadata_goes_along(tmp_path: Path, decoder: str, suffix: str, xmp: bytes | None) -> None:
    exif = Image.Exif()
    exif[0x0110] = "camera"
    beside = Metadata(PROFILE, exif.tobytes(), xmp)
    written(tmp_path / f"rows{suffix}", photo(20, 30, 3), beside=beside)
    images.write(images.from_pixels(photo(20, 30, 3)), tmp_path / f"whole{suffix}", beside=beside)

    def said(path: Path) -> list[Any]:
        with Image.open(path) as opened:
            opened.load()
            words = opened.info.get("xmp") or opened.info.get("XML:com.adobe.xmp") or b""
            words = words.encode() if isinstance(words, str) else words
            return [opened.info["icc_profile"], opened.getexif().get(0x0110), words.strip(b"\0")]

    assert said(tmp_path / f"rows{suffix}") == said(tmp_path / f"whole{suffix}")


@pytest.mark.parametrize(
    ("name", "width", "height"),
    [("a.jpg", 65_501, 1), ("a.jpg", 1, 65_501), ("a.webp", 16_384, 1), ("a.png", 2**31, 1), ("a.bmp", 40_000, 40_000)],
)
def test_formats_end_somewhere(tmp_path: Path, name: str, width: int, height: int) -> None:
    with pytest.raises(ImageError, match=rf"{name}: \w+ cannot hold"), open_sink(tmp_path / name, width, height, 3):
        pass
    assert not list(tmp_path.iterdir())


def test_the_largest_of_a_format_is_written(tmp_path: Path, decoder: str) -> None:
    assert written(tmp_path / "a.jpg", np.full((2, 65_500, 1), 9, np.uint8)).size == (65_500, 2)
    assert written(tmp_path / "a.webp", np.full((2, 16_383, 3), 9, np.uint8)).size == (16_383, 2)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_a_file_is_whole_or_not_there(tmp_path: Path, decoder: str, name: str) -> None:
    (tmp_path / name).write_text("before")
    with pytest.raises(ValueError, match="7 rows were written of 20"), open_sink(tmp_path / name, 30, 20, 3) as sink:
        sink.write(photo(7, 30, 3))
    with pytest.raises(KeyboardInterrupt), open_sink(tmp_path / name, 30, 20, 3) as sink:
        sink.write(photo(20, 30, 3))
        raise KeyboardInterrupt
    assert (tmp_path / name).read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of a file's size")
@pytest.mark.parametrize("name", ["b.png", "b.tif", "b.jpg", "b.webp", "b.bmp"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, decoder: str, name: str) -> None:
    import resource

    noise = RNG.integers(0, 256, (200, 200, 3), np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(I2IError, match="cannot be written"):
            written(tmp_path / name, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_rows_are_not_kept(tmp_path: Path) -> None:
    strip = photo(64, 1000, 3)
    tracemalloc.start()
    try:
        for name in ("a.png", "a.tif"):
            with open_sink(tmp_path / name, 1000, 64 * 60, 3) as sink:
                for _ in range(60):
                    sink.write(strip)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * strip.nbytes


def test_a_disk_without_room_is_refused_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 830 * 610 * 3 - 1}))
    with pytest.raises(ImageError, match="GiB"), open_sink(tmp_path / "b.jpg", 830, 610, 3):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
@pytest.mark.parametrize("form", rows_vips.ENCODED)
def test_libvips_says_that_a_disk_is_full(tmp_path: Path, form: str) -> None:
    pytest.importorskip("pyvips")
    Image.fromarray(photo(200, 200, 3)).save(tmp_path / "a.tif")
    with (tmp_path / "a.tif").open("rb") as tiff, pytest.raises(OSError, match="No space left") as raised:
        rows_vips.encode(tiff, Path("/dev/full"), form, mode="RGB", quality=90, beside=NOTHING)
    assert raised.value.errno == errno.ENOSPC
