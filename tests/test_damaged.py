"""Every kind of damaged or unusual file, before training, in training and in translation."""

import importlib.util
import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from i2i import cli, header, images
from i2i.config import DataConfig
from i2i.data import open_splits
from i2i.errors import ImageError

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8))
GOOD = 24  # sound images beside the one in question, so that it may be left out
FRAMES = "of several frames or pages, of which the first is used"
DEEP = "of more than 8 bits a channel, which are reduced to 8"
RENAMED = "of another format than the name says, read as what it is"
DAMAGED = "with damaged metadata, which is left out"


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, rows: bytes = b"", *, depth: int = 8, kind: int = 2, before: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def frames(form: str, **options: object) -> bytes:
    return saved(NOISE, form, save_all=True, append_images=[NOISE.rotate(90), NOISE.rotate(180)], **options)


def without_size(form: str) -> bytes:
    """A file that claims 0 x 0 pixels."""
    content = bytearray(saved(NOISE, form))
    if form == "BMP":
        content[18:26] = bytes(8)
    elif form == "GIF":
        content[6:10] = bytes(4)  # of the screen, and of the picture on it behind the 3 * 256 bytes of the palette
        at = content.index(b",", 13 + 768) + 5
        content[at : at + 4] = bytes(4)
    elif form == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = bytes(4)
    return bytes(content)


def with_bomb(name: bytes, head: bytes) -> bytes:
    """A PNG with 64 MiB of zeros in 64 KiB beside its pixels."""
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(NOISE))
    return png(32, 24, rows, before=chunk(name, head + zlib.compress(bytes(2**26), 9)))


def damaged_exif(content: bytes) -> bytes:
    return saved(NOISE, "JPEG", exif=b"Exif\0\0" + content)


def short_exif() -> bytes:
    """EXIF that promises 65,535 characters and ends before them."""
    return damaged_exif(b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x010E, 2, 65_535, 26) + bytes(4) + b"few")


@dataclass(frozen=True)
class Case:
    """A file, and what is to become of it: refused with a reason, or used, with a remark or none."""

    name: str
    content: Callable[[], bytes]
    refused: str | None = None
    remark: str | None = None


TRUNCATED = [
    Case(
        f"{form.lower()}-{percent}{suffix}",
        lambda form=form, percent=percent: saved(NOISE, form)[: len(saved(NOISE, form)) * percent // 100],
        refused="broken|not an image",
    )
    for suffix, form in {**images.WRITABLE, ".gif": "GIF", ".ppm": "PPM"}.items()
    for percent in (5, 50, 95)
]
REFUSED = [
    *TRUNCATED,
    Case("zero-bytes.png", lambda: b"", refused="not an image that can be read"),
    Case("text.png", lambda: b"no image at all\n", refused="not an image that can be read"),
    Case("postscript.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", refused="not an image that can be read"),
    Case("svg.png", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", refused="not an image that can be read"),
    Case("zero-size.png", lambda: png(0, 0), refused="nothing in it|broken|not an image"),
    Case("zero-size.jpg", lambda: without_size("JPEG"), refused="nothing in it|broken|not an image"),
    Case("zero-size.bmp", lambda: without_size("BMP"), refused="nothing in it|broken|not an image"),
    Case("zero-size.gif", lambda: without_size("GIF"), refused="nothing in it|broken|not an image"),
    Case("claims-60000.png", lambda: png(60_000, 60_000), refused="limit of 89,478,485"),
    Case("nan.tif", lambda: saved(Image.fromarray(np.full((24, 32), np.nan, np.float32)), "TIFF"), "floating-point"),
    Case("inf.tif", lambda: saved(Image.fromarray(np.full((24, 32), np.inf, np.float32)), "TIFF"), "floating-point"),
    Case("profile-bomb.png", lambda: with_bomb(b"iCCP", b"a\0\0"), refused="broken: .*too large"),
    Case("text-bomb.png", lambda: with_bomb(b"zTXt", b"a\0\0"), refused="broken: .*too large"),
]
USED = [
    Case("jpeg-inside.png", lambda: saved(NOISE, "JPEG"), remark=RENAMED),
    Case("png-inside.jpg", lambda: saved(NOISE, "PNG"), remark=RENAMED),
    Case("cmyk.jpg", lambda: saved(NOISE.convert("CMYK"), "JPEG"), remark="in CMYK, which becomes RGB"),
    Case("cmyk.tif", lambda: saved(NOISE.convert("CMYK"), "TIFF"), remark="in CMYK, which becomes RGB"),
    Case("one-bit.png", lambda: saved(NOISE.convert("1"), "PNG")),
    Case("animated.gif", lambda: frames("GIF"), remark=FRAMES),
    Case("animated.webp", lambda: frames("WEBP"), remark=FRAMES),
    Case("animated.png", lambda: frames("PNG"), remark=FRAMES),
    Case("pages.tif", lambda: frames("TIFF"), remark=FRAMES),
    Case("exif-nonsense.jpg", lambda: damaged_exif(b"nonsense nonsense"), remark=DAMAGED),
    Case("exif-short.jpg", short_exif, remark=DAMAGED),
    Case(
        "deep-grey.png", lambda: saved(Image.fromarray(RNG.integers(0, 2**16, (24, 32), np.uint16)), "PNG"), None, DEEP
    ),
    Case(
        "deep-grey.tif", lambda: saved(Image.fromarray(RNG.integers(0, 2**16, (24, 32), np.uint16)), "TIFF"), None, DEEP
    ),
    Case("deep-colour.png", lambda: png(32, 24, (b"\0" + RNG.bytes(192)) * 24, depth=16), remark=DEEP),
    Case("deep-colour.ppm", lambda: b"P6 32 24 65535\n" + RNG.bytes(4608), remark=DEEP),
    Case("palette-with-alpha.png", lambda: saved(NOISE.quantize(8), "PNG", transparency=bytes([255, 0, 99]))),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sound images alone."""
    place = tmp_path / "images"
    place.mkdir()
    for index in range(GOOD):
        Image.fromarray(RNG.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(place / f"{index:02d}.png")
    return place


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    spec = importlib.util.spec_from_file_location("i2i_test_models", ROOT / "tests" / "runtime" / "models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.build(tmp_path_factory.mktemp("model") / "m.onnx", multiple=4, minimum=8))


def run(*arguments: object) -> tuple[int, str]:
    """The command as the console script runs it: its exit status and all that it says."""
    through_main = click.Command("i2i", callback=lambda: cli.main([*map(str, arguments)]))
    result = CliRunner().invoke(through_main, [])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def opened(folder: Path) -> tuple[int, list[str]]:
    """How many images would be trained on, and what training says of them."""
    config = DataConfig(source=str(folder), size=8, load_size=8, validation=0.0, workers=0)
    splits = open_splits(config, "images")
    return len(splits.train), splits.warnings


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_is_no_whole_image_is_named_and_left_out(folder: Path, model: str, case: Case) -> None:
    path = folder / case.name
    path.write_bytes(case.content())
    with pytest.raises(ImageError, match=f"{case.name}: .*({case.refused})"):
        images.read(path)
    status, told = run("data", "check", folder, "--kind", "images")
    assert status == 0
    assert f"{case.name}: " in told
    assert "the image is left out" in told
    count, warnings = opened(folder)
    assert count == GOOD
    assert [case.name in line for line in warnings] == [True]
    target = path.with_name("made.png")
    status, told = run("translate", path, "-m", model, "-o", target)
    assert status == 1
    assert f"{case.name}: " in told
    assert not target.exists()


@pytest.mark.parametrize("case", USED, ids=lambda case: case.name)
def test_what_is_unusual_is_used_and_told(folder: Path, model: str, case: Case) -> None:
    path = folder / case.name
    path.write_bytes(case.content())
    remarks = header.read(path).remarks
    assert [case.remark in remark for remark in remarks] == ([] if case.remark is None else [True])
    status, told = run("data", "check", folder, "--kind", "images")
    assert status == 0
    assert (f"1 {case.remark}" in told) == (case.remark is not None)
    count, warnings = opened(folder)
    assert count == GOOD + 1
    assert ["1 " + (case.remark or "") in line and path.stem in line for line in warnings] == [True] * len(remarks)
    target = path.with_name("made.png")
    status, told = run("translate", path, "-m", model, "-o", target)
    assert status == 0
    assert (f"note: an input {case.remark}" in told) == (case.remark is not None)
    assert images.read(target).size == (32, 24)


def test_a_folder_with_the_name_of_an_image_is_a_folder(folder: Path) -> None:
    (folder / "folder.png").mkdir()
    NOISE.save(folder / "folder.png" / "inside.png")
    assert opened(folder) == (GOOD + 1, [])
    with pytest.raises(ImageError, match=r"folder\.png: .*directory"):
        images.read(folder / "folder.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(folder: Path, model: str) -> None:
    os.mkfifo(folder / "pipe.png")
    status, told = run("data", "check", folder, "--kind", "images")
    assert (status, "pipe.png: no file, but a pipe or a device" in told) == (0, True)
    count, (warning,) = opened(folder)
    assert count == GOOD
    assert "pipe.png: no file, but a pipe or a device" in warning
    status, told = run("translate", folder / "pipe.png", "-m", model, "-o", folder.parent / "made.png")
    assert status == 1
    assert "pipe.png: no file, but a pipe or a device" in told


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may read every file")
def test_a_file_that_must_not_be_read_is_named(folder: Path) -> None:
    NOISE.save(folder / "closed.png")
    (folder / "closed.png").chmod(0)
    count, (warning,) = opened(folder)
    assert count == GOOD
    assert "closed.png: Permission denied" in warning


def test_a_file_of_more_bytes_than_allowed_is_refused_unread(folder: Path) -> None:
    large = NOISE.resize((320, 240))
    large.save(folder / "large.bmp")
    length = (folder / "large.bmp").stat().st_size
    assert images.read(folder / "large.bmp", max_bytes=length).size == large.size
    with pytest.raises(ImageError, match=rf"large\.bmp: {length:,} bytes, over the limit of {length - 1:,}"):
        images.read(folder / "large.bmp", max_bytes=length - 1)
    with pytest.raises(ImageError, match="over the limit of 9"):
        images.read(images.encode(NOISE, ".png"), max_bytes=9)
    for limit, count in ((length - 1, GOOD), (length, GOOD + 1)):
        config = DataConfig(source=str(folder), size=8, load_size=8, validation=0.0, max_bytes=limit)
        assert len(open_splits(config, "images").train) == count


def test_every_case_is_a_row_of_the_page() -> None:
    page = (ROOT / "docs" / "data.md").read_text()
    for remark in (FRAMES, DEEP, RENAMED, DAMAGED):
        assert remark in " ".join(page.split()), remark
