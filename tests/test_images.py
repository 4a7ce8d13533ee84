import io
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i import images
from i2i.errors import I2IError, ImageError
from i2i.pillow import ImageWarning

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
WIDE = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def png(width: int, height: int, depth: int = 8, kind: int = 2, rows: bytes = b"") -> bytes:
    """A PNG by hand, for what Pillow does not write."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_grey_is_scaled(tmp_path: Path, name: str, order: str) -> None:
    path = saved(tmp_path / name, Image.fromarray(WIDE.astype(order)))
    read = images.read(path)
    assert read.mode == "L"
    np.testing.assert_array_equal(np.asarray(read), np.rint(WIDE / 257))


@pytest.mark.parametrize(("kind", "channels", "mode"), [(2, 3, "RGB"), (6, 4, "RGBA"), (4, 2, "RGBA")])
def test_16_bit_colour_is_reduced(kind: int, channels: int, mode: str) -> None:
    wide = RNG.integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide)
    read = images.read(png(7, 5, 16, kind, rows))
    assert read.mode == mode
    assert np.abs(images.to_pixels(read, channels).astype(float) - wide / 257).max() <= 1


def test_palette_becomes_its_colours(tmp_path: Path) -> None:
    few = Image.fromarray(COLOURS).quantize(6)
    path = saved(tmp_path / "a.png", few)
    read = images.read(path)
    assert read.mode == "RGB"
    palette = np.array(few.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(np.asarray(read), palette[np.asarray(few)])


@pytest.mark.parametrize("transparency", [2, bytes([255, 255, 0])])
def test_transparent_palette_entry_becomes_alpha(tmp_path: Path, transparency: object) -> None:
    few = Image.fromarray(COLOURS).quantize(6)
    read = images.read(saved(tmp_path / "a.png", few, transparency=transparency))
    assert read.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(read)[..., 3], np.where(np.asarray(few) == 2, 0, 255))


def test_colour_key_becomes_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    read = images.read(saved(tmp_path / "a.png", image, transparency=tuple(COLOURS[1, 2].tolist())))
    assert read.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(read)[..., 3], np.where((COLOURS[1, 2] == COLOURS).all(axis=-1), 0, 255))


@pytest.mark.parametrize(
    ("written", "suffix", "mode", "pixel"),
    [
        (Image.new("LA", (7, 5), (9, 3)), ".png", "LA", (9, 3)),
        (Image.new("1", (7, 5), 1), ".png", "L", 255),
        (Image.new("1", (7, 5), 0), ".tif", "L", 0),
        (Image.new("CMYK", (7, 5), (255, 0, 0, 0)), ".jpg", "RGB", (0, 255, 255)),
        (Image.new("CMYK", (7, 5), (255, 0, 0, 0)), ".tif", "RGB", (0, 255, 255)),
        (Image.new("RGB", (7, 5), (1, 2, 3)), ".ppm", "RGB", (1, 2, 3)),
        (Image.fromarray(np.full((5, 7), 65535, np.int32)), ".tif", "L", 255),
    ],
)
def test_modes(tmp_path: Path, written: Image.Image, suffix: str, mode: str, pixel: object) -> None:
    read = images.read(saved(tmp_path / f"a{suffix}", written))
    assert (read.mode, read.size) == (mode, (7, 5))
    assert read.getpixel((3, 3)) == pixel


@pytest.mark.parametrize(
    ("suffix", "options"), [(".gif", {}), (".webp", {"lossless": True}), (".png", {}), (".tif", {})]
)
def test_of_an_animation_the_first_frame_is_read(tmp_path: Path, suffix: str, options: dict[str, bool]) -> None:
    first, *rest = (Image.new("RGB", (7, 5), colour) for colour in ("red", "lime", "blue"))
    path = saved(tmp_path / f"a{suffix}", first, save_all=True, append_images=rest, **options)
    read = images.read(path)
    assert read.getpixel((0, 0)) == (255, 0, 0)
    assert read.size == (7, 5)


# What a camera must do to the scene so that a viewer, told so by the tag, sees it upright (EXIF 2.3, 4.6.4).
ORIENTATIONS = {
    1: lambda scene: scene,
    2: lambda scene: scene[:, ::-1],
    3: lambda scene: scene[::-1, ::-1],
    4: lambda scene: scene[::-1],
    5: lambda scene: scene.swapaxes(0, 1),
    6: lambda scene: np.rot90(scene),
    7: lambda scene: scene[::-1, ::-1].swapaxes(0, 1),
    8: lambda scene: np.rot90(scene, -1),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_exif_orientation_is_applied_and_dropped(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(ORIENTATIONS[orientation](COLOURS))
    read = images.read(saved(tmp_path / "a.png", Image.fromarray(stored), exif=exif))
    np.testing.assert_array_equal(np.asarray(read), COLOURS)
    assert not read.info
    assert not read.getexif()


def test_broken_exif_does_not_stop_the_image(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (7, 5), "red"), exif=b"Exif\0\0nonsense nonsense")
    assert images.read(path).size == (7, 5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif", ".ppm"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.97])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, kept: float) -> None:
    buffer = io.BytesIO()
    noise = Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    noise.save(buffer, Image.registered_extensions()[suffix])
    path = tmp_path / f"half{suffix}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * kept)])
    with pytest.raises(ImageError, match=f"half{suffix}: (broken|not an image)"):
        images.read(path)


@pytest.mark.parametrize("content", [b"", b"some text\n", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.png: (broken|not an image)"):
        images.read(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [60_000, 12_000])
def test_claimed_size_is_limited_before_decoding(side: int) -> None:
    with pytest.raises(ImageError, match=r"huge: .*limit of 89,478,485"):
        images.read(png(side, side), name="huge")


def test_limit_is_a_parameter_and_inclusive() -> None:
    data = images.encode(Image.new("RGB", (10, 10)), ".png")
    assert images.read(data, max_pixels=100).size == (10, 10)
    with pytest.raises(ImageError, match="10 x 10 pixels, over the limit of 99"):
        images.read(data, max_pixels=99)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.ones((5, 7), np.float32), "floating-point"),
        (np.full((5, 7), 65536, np.int32), "beyond 16 bits"),
        (np.full((5, 7), -1, np.int32), "beyond 16 bits"),
    ],
)
def test_values_of_unknown_range_are_refused(tmp_path: Path, values: np.ndarray, reason: str) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(values))
    with pytest.raises(ImageError, match=rf"a\.tif: .*{reason}"):
        images.read(path)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no\.png: No such file"):
        images.read(tmp_path / "no.png")
    with pytest.raises(ImageError, match="directory"):
        images.read(tmp_path)


def test_alpha_is_laid_on_white_or_kept() -> None:
    image = Image.new("RGBA", (2, 1), (200, 0, 100, 51))  # a fifth of the colour, four fifths of white
    np.testing.assert_allclose(images.to_pixels(image, 3)[0, 0], [244, 204, 224], atol=1)
    np.testing.assert_array_equal(images.to_pixels(image, 4)[0, 0], [200, 0, 100, 51])
    grey = Image.new("LA", (2, 1), (100, 0))
    assert images.to_pixels(grey, 1).tolist() == [[[255], [255]]]
    assert images.to_pixels(Image.new("L", (2, 1), 7), 4)[0, 0].tolist() == [7, 7, 7, 255]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_is_written_is_read_again(tmp_path: Path, channels: int, suffix: str) -> None:
    pixels = RNG.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    images.write(images.from_pixels(pixels), tmp_path / "new" / f"a{suffix}")
    read = images.read(tmp_path / "new" / f"a{suffix}")
    np.testing.assert_array_equal(images.to_pixels(read, channels), pixels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", list(images.WRITABLE))
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_mode_can_be_written_in_every_format(mode: str, suffix: str) -> None:
    image = Image.new("LA", (8, 8), (255, 255)).convert(mode)
    read = images.read(images.encode(image, suffix))
    assert read.size == (8, 8)
    assert images.to_pixels(read, 1).min() >= 254


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_formats_without_alpha_lay_it_on_white(suffix: str) -> None:
    read = images.read(images.encode(Image.new("RGBA", (8, 8), (0, 0, 0, 0)), suffix))
    assert read.getpixel((4, 4)) == (255, 255, 255)


def test_a_size_beyond_the_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"(?s)a\.webp: .*20000 x 1 pixels.*\.png"):
        images.write(Image.new("RGB", (20_000, 1)), tmp_path / "a.webp")
    assert not list(tmp_path.iterdir())


def test_a_suffix_without_a_writer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"(?s)a\.gif: cannot write '\.gif'.*\.png"):
        images.write(Image.new("RGB", (1, 1)), tmp_path / "a.gif")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(I2IError, match=r"(?s)a\.png: cannot be written: No space left.*Free some space"):
        images.write(Image.new("RGB", (1, 1)), path)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {"a.png": b"before"}


def test_resize_averages_what_it_makes_smaller() -> None:
    checkers = np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255
    small = images.resize(checkers[..., None], 8, 4)
    assert small.shape == (8, 4, 1)
    np.testing.assert_allclose(small[2:-2, 1:-1], 127.5, atol=2)


def test_find_goes_down_in_order_and_leaves_out_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ["b.PNG", "a/c.jpg", "a.txt", ".hidden.png", ".git/d.png", "a/e.png"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.relative_to(tmp_path).as_posix() for path in images.find(tmp_path)] == ["a/c.jpg", "a/e.png", "b.PNG"]


def test_find_passes_over_what_cannot_be_looked_at(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", Image.new("L", (1, 1)))
    (tmp_path / "b.png").symlink_to("b.png")
    (tmp_path / "c.png").symlink_to("gone.png")
    assert [path.name for path in images.find(tmp_path)] == ["a.png"]
    assert list(images.find(tmp_path / ("x" * 300))) == []


def test_16_bit_grey_takes_little_more_memory_than_its_values() -> None:
    data = io.BytesIO()
    Image.fromarray(RNG.integers(0, 65536, (600, 900), dtype=np.uint16)).save(data, "TIFF")
    tracemalloc.start()
    try:
        images.read(data.getvalue())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 600 * 900 * 10


def short_exif(path: Path) -> Path:
    """A sound picture whose EXIF promises 65,535 characters and ends before them: Pillow warns of it."""
    entry = struct.pack("<HHHII", 1, 0x010E, 2, 65_535, 26) + bytes(4)
    return saved(path, Image.new("RGB", (7, 5)), exif=b"Exif\0\0II*\0\x08\0\0\0" + entry + b"few")


def test_what_pillow_warns_of_names_each_file_it_is_true_of(tmp_path: Path) -> None:
    paths = [short_exif(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for path in paths:
            assert images.read(path).size == (7, 5)
    told = [str(each.message) for each in caught if issubclass(each.category, ImageWarning)]
    assert len(told) == len(caught) == 2
    assert all(
        text.startswith(f"{path}: ") and "Skipping tag 270" in text for text, path in zip(told, paths, strict=True)
    )


def test_who_listens_hears_it_instead(tmp_path: Path) -> None:
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images.read(short_exif(tmp_path / "a.jpg"), heard=heard.append)
        images.read(saved(tmp_path / "b.jpg", Image.new("RGB", (7, 5))), heard=heard.append)
    assert not caught
    assert ["Skipping tag 270" in text for text in heard] == [True]


def test_warnings_of_others_go_their_own_way(tmp_path: Path) -> None:
    path = short_exif(tmp_path / "a.jpg")
    ready, done = threading.Event(), threading.Event()

    def other() -> None:
        ready.wait(10)
        warnings.warn("of another thread", stacklevel=1)
        done.set()

    thread = threading.Thread(target=other)
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread.start()
        with images.opening(path, "a", heard=heard.append):
            ready.set()
            assert done.wait(10)
        warnings.warn("of this thread, later", stacklevel=1)
    thread.join()
    assert [str(each.message) for each in caught] == ["of another thread", "of this thread, later"]
    assert len(heard) == 1


def test_the_warning_of_too_many_pixels_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    data = images.encode(Image.new("RGB", (10, 9)), ".png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="10 x 9 pixels, over the limit of 60"):
            images.read(data, max_pixels=60)
        assert images.read(data, max_pixels=90).size == (10, 9)
    assert Image.MAX_IMAGE_PIXELS == 50


def test_the_filters_of_the_program_still_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images.encode(Image.new("RGB", (10, 9)), ".png")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        assert images.read(data).size == (10, 9)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80)
        with pytest.raises(Image.DecompressionBombWarning):
            Image.open(io.BytesIO(data))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        images.read(data)
        Image.open(io.BytesIO(data)).close()
    assert not caught


def test_what_is_not_about_the_image_is_not_taken_for_it() -> None:
    heard: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with images.opening(io.BytesIO(images.encode(Image.new("RGB", (3, 3)), ".png")), "a", heard=heard.append):
            warnings.warn("a file of the program", ResourceWarning, stacklevel=1)
    assert not heard
    assert [str(each.message) for each in caught] == ["a file of the program"]
