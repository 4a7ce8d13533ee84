import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.serving import decoding
from i2i.serving.errors import InvalidError, NotAnImageError, TooLargeError
from i2i.serving.limits import Limits


def encoded(width: int, height: int, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, form, **options)
    return file.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims to be of a size, and ends after its header."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def test_an_image_is_taken_as_it_is_shown():
    file = io.BytesIO()
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    image.save(file, "PNG", exif=exif)
    data = file.getvalue()
    assert decoding.look(data, Limits()) == 8
    decoded = decoding.decode(data, Limits())
    assert decoded.size == (4, 2)
    assert np.array_equal(np.asarray(decoded), np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<svg/>", b"\x89PNG\r\n\x1a\n", encoded(9, 9)[:40]],
    ids=["none", "text", "svg", "png", "cut"],
)
def test_what_is_no_image_is_named_so(data: bytes):
    with pytest.raises(NotAnImageError, match="the image: ") as refused:
        decoding.look(data, Limits())
        decoding.decode(data, Limits())
    assert "PNG, JPEG" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("data", "limits", "said"),
    [
        (encoded(9, 9), Limits(bytes=20), "over the limit of 20"),
        (encoded(9, 9), Limits(pixels=80), "9 x 9 pixels, over the limit of 80"),
        (bomb(60_000, 60_000), Limits(), "60000 x 60000 pixels"),
        (bomb(2**31 - 1, 2**31 - 1), Limits(), "pixels, over the limit"),
        (encoded(4, 4, "GIF", save_all=True, append_images=[Image.new("RGB", (4, 4))]), Limits(), "several frames"),
        (encoded(4, 4, "TIFF", save_all=True, append_images=[Image.new("RGB", (4, 4))]), Limits(), "several frames"),
        (encoded(4, 4, "WEBP", save_all=True, append_images=[Image.new("RGB", (4, 4))]), Limits(), "several frames"),
    ],
    ids=["bytes", "pixels", "bomb", "largest bomb", "gif", "tiff", "webp"],
)
def test_what_is_too_large_is_refused_by_its_header(data: bytes, limits: Limits, said: str):
    with pytest.raises(TooLargeError, match=said):
        decoding.look(data, limits)


def test_the_first_of_several_frames_is_taken_where_that_is_allowed():
    data = encoded(4, 4, "GIF", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    assert decoding.look(data, Limits(frames=2)) == 16
    assert decoding.decode(data, Limits(frames=2)).getpixel((0, 0)) == (255, 0, 0)


def test_what_comes_out_is_limited_too():
    data = encoded(10, 10)
    assert decoding.look(data, Limits(pixels=100), scale=2) == 100
    with pytest.raises(TooLargeError, match="3 times as large along a side: over the limit of 400"):
        decoding.look(data, Limits(pixels=100), scale=3)


@pytest.mark.parametrize("form", sorted(decoding.MEDIA_TYPES))
def test_a_file_is_of_the_type_that_is_said(form: str):
    with Image.open(io.BytesIO(decoding.encode(Image.new("RGB", (5, 4)), form))) as image:
        assert Image.MIME[str(image.format)] == decoding.MEDIA_TYPES[form]
        assert image.size == (5, 4)


def test_what_a_form_cannot_hold_is_named():
    with pytest.raises(InvalidError, match=r"cannot be written as \.webp at 20000 x 1 pixels"):
        decoding.encode(Image.new("L", (20_000, 1)), ".webp")


@pytest.mark.parametrize(("form", "quality"), [(".gif", 95), ("png", 95), (".png", 0), (".jpg", 101)])
def test_unknown_forms_and_qualities_are_refused(form: str, quality: int):
    with pytest.raises(InvalidError, match=r"form|quality"):
        decoding.check_form(form, quality)
