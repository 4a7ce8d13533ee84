import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from i2i import images
from i2i.metadata import Metadata

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
CMYK = SRGB[:16] + b"CMYK" + SRGB[20:]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:creator="me" tiff:Orientation="6"/></x:xmpmeta>'
HOLDING = (".png", ".jpg", ".webp", ".tiff")


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[ExifTags.Base.Orientation] = orientation
    made[ExifTags.Base.Artist] = "me"
    made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = 7
    made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = "a lens"
    return made


def written(image: Image.Image, suffix: str, beside: Metadata) -> Image.Image:
    opened = Image.open(io.BytesIO(images.encode(image, suffix, beside=beside)))
    opened.load()
    return opened


@pytest.mark.parametrize("suffix", HOLDING)
@pytest.mark.parametrize(
    ("profile", "mode", "goes"),
    [
        (SRGB, "RGB", True),
        (SRGB, "L", False),
        (GREY, "L", True),
        (GREY, "RGB", False),
        (CMYK, "RGB", False),
        (b"x", "RGB", False),
    ],
)
def test_a_profile_goes_along_where_it_describes_the_result(suffix: str, profile: bytes, mode: str, goes: bool) -> None:
    made = written(Image.new(mode, (8, 8)), suffix, Metadata(profile))
    if suffix == ".webp" and mode == "L":  # written as RGB
        goes = not goes
    assert made.info.get("icc_profile") == (profile if goes else None)


@pytest.mark.parametrize("suffix", HOLDING)
@pytest.mark.parametrize("source", HOLDING)
def test_exif_and_xmp_go_along_when_asked_and_say_upright(tmp_path: Path, source: str, suffix: str) -> None:
    path = tmp_path / f"a{source}"
    path.write_bytes(images.encode(Image.new("RGB", (7, 5)), source, beside=Metadata(SRGB, exif(6).tobytes(), XMP)))
    image, beside = images.read_whole(path, everything=True)
    assert image.size == (5, 7)
    made = written(image, suffix, beside)
    assert made.size == (5, 7)
    found = made.getexif()
    assert found[ExifTags.Base.Orientation] == 1
    assert found[ExifTags.Base.Artist] == "me"
    inner = found.get_ifd(ExifTags.IFD.Exif)
    assert inner[ExifTags.Base.LensModel] == "a lens"
    assert ExifTags.Base.ExifImageWidth not in inner
    assert b'dc:creator="me"' in made.info["xmp"]
    assert b"Orientation" not in made.info["xmp"]
    assert made.info["icc_profile"] == SRGB


def test_without_being_asked_only_the_profile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(images.encode(Image.new("RGB", (7, 5)), ".jpg", beside=Metadata(SRGB, exif(6).tobytes(), XMP)))
    _, beside = images.read_whole(path)
    assert beside == Metadata(SRGB)
    made = written(Image.new("RGB", (8, 8)), ".jpg", beside)
    assert not made.getexif()
    assert "xmp" not in made.info


def test_what_a_jpeg_has_no_room_for_is_left_out() -> None:
    beside = Metadata(None, b"Exif\0\0" + b"x" * 70_000, b"y" * 70_000)
    made = written(Image.new("RGB", (8, 8)), ".jpg", beside)
    assert not made.getexif()
    assert "xmp" not in made.info


@pytest.mark.parametrize(
    "said", [b"tiff:Orientation='6'", b'tiff:Orientation = "6"', b"><tiff:Orientation> 6 </tiff:Orientation><x"]
)
def test_xmp_says_upright_however_it_is_written(tmp_path: Path, said: bytes) -> None:
    path = tmp_path / "a.png"
    xmp = XMP.replace(b'tiff:Orientation="6"', said)
    path.write_bytes(images.encode(Image.new("RGB", (7, 5)), ".png", beside=Metadata(xmp=xmp)))
    _, beside = images.read_whole(path, everything=True)
    assert beside.xmp is not None
    assert b"Orientation" not in beside.xmp
    assert b'dc:creator="me"' in beside.xmp


def test_exif_points_to_no_part_that_was_left_behind(tmp_path: Path) -> None:
    said = exif(1)
    said.get_ifd(ExifTags.IFD.Exif)[ExifTags.IFD.Interop] = {1: "R98", 2: b"0100"}
    path = tmp_path / "a.jpg"
    Image.new("RGB", (7, 5)).save(path, exif=said)
    with Image.open(path) as opened:
        assert ExifTags.IFD.Interop in opened.getexif().get_ifd(ExifTags.IFD.Exif)
    image, beside = images.read_whole(path, everything=True)
    inner = written(image, ".jpg", beside).getexif().get_ifd(ExifTags.IFD.Exif)
    assert inner == {ExifTags.Base.LensModel: "a lens"}


def test_damaged_exif_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (7, 5), "red").save(path, exif=b"Exif\0\0nonsense nonsense")
    image, beside = images.read_whole(path, everything=True)
    assert image.size == (7, 5)
    assert beside.exif is None


def test_pixels_do_not_depend_on_what_goes_along() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    made = written(images.from_pixels(pixels), ".png", Metadata(SRGB, exif(1).tobytes(), XMP))
    np.testing.assert_array_equal(np.asarray(made), pixels)
