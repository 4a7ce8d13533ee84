from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import i2i
from i2i.errors import ArtifactError, ImageError
from i2i.runtime.translator import Translator

RNG = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def reflected(index: int, size: int) -> int:
    """Where a ball bouncing between the first and the last pixel is after `index` steps."""
    if size == 1:
        return 0
    index %= 2 * (size - 1)
    return min(index, 2 * (size - 1) - index)


def mirrored(pixels: np.ndarray, multiple: int, minimum: int, scale: int) -> np.ndarray:
    """What the mirroring model makes of `[H, W, C]` when its right is padded by reflection, pixel by pixel."""
    height, width, channels = pixels.shape
    padded = next(side for side in range(max(width, minimum), 10**6) if side % multiple == 0)
    result = np.empty((height * scale, width * scale, channels), np.uint8)
    for column in range(width * scale):
        source = (padded * scale - 1 - column) // scale
        result[:, column] = 255 - pixels[np.arange(height * scale) // scale, reflected(source, width)]
    return result


@pytest.mark.parametrize(("height", "width"), [(8, 16), (1, 1), (1, 9), (3, 2), (7, 8), (9, 7), (30, 17), (40, 1)])
@pytest.mark.parametrize(("multiple", "minimum", "scale"), [(8, 1, 1), (8, 20, 1), (4, 16, 2), (1, 1, 4)])
def test_any_size_is_padded_by_reflection_and_cropped(
    tmp_path: Path, models: Any, height: int, width: int, multiple: int, minimum: int, scale: int
) -> None:
    path = models.build(tmp_path / "m.onnx", mirror=True, multiple=multiple, minimum=minimum, scale=scale)
    pixels = noise(height, width, 3)
    expected = mirrored(pixels, multiple, minimum, scale)
    translator = Translator.load(path)
    np.testing.assert_array_equal(translator(pixels), expected)
    np.testing.assert_array_equal(np.asarray(translator(Image.fromarray(pixels))), expected)


def test_arrays_come_back_as_the_arrays_they_were(tmp_path: Path, models: Any) -> None:
    colour = Translator.load(models.build(tmp_path / "colour.onnx", multiple=4))
    batch = noise(3, 5, 6, 3)
    np.testing.assert_array_equal(colour(batch), 255 - batch)
    np.testing.assert_array_equal(colour(batch[0]), 255 - batch[0])
    np.testing.assert_array_equal(colour(batch[:, ::-1, ::2]), 255 - batch[:, ::-1, ::2])  # not contiguous
    grey = noise(5, 6)
    np.testing.assert_array_equal(colour(grey), np.repeat(255 - grey[..., None], 3, axis=-1))
    of_grey = Translator.load(models.build(tmp_path / "grey.onnx", channels_in=1, channels_out=1))
    np.testing.assert_array_equal(of_grey(grey), 255 - grey)
    np.testing.assert_array_equal(of_grey(grey[..., None]), 255 - grey[..., None])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.zeros((4, 4, 3), np.float32), "float32, not uint8"),
        (np.zeros((4, 4, 3), np.int64), "int64, not uint8"),
        (np.zeros((3, 4, 4), np.uint8), r"\[3, 4, 4\], and the model takes 3 channels \(RGB\), which come last"),
        (np.zeros((2, 4, 4, 4), np.uint8), "takes 3 channels"),
        (np.zeros((4,), np.uint8), r"\[4\] is no image"),
        (np.zeros((0, 4, 3), np.uint8), r"\[0, 4, 3\] is no image"),
        (np.zeros((1, 1, 4, 4, 3), np.uint8), "is no image"),
        (Image.new("RGB", (0, 5)), "empty: 0 x 5"),
        (Image.new("F", (5, 5)), "floating-point"),
        ("photo.png", "a str is not an image"),
        (None, "a NoneType is not an image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, models: Any, wrong: Any, reason: str) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx"))
    with pytest.raises(ImageError, match=reason):
        translator(wrong)


def test_alpha_is_kept_beside_a_model_without(tmp_path: Path, models: Any) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx", multiple=4))
    pixels = noise(5, 6, 4)
    alpha = pixels[..., 3:].astype(float) / 255
    on_white = pixels[..., :3] * alpha + 255 * (1 - alpha)
    kept = translator(Image.fromarray(pixels))
    assert kept.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(kept)[..., 3], pixels[..., 3])
    np.testing.assert_allclose(np.asarray(kept)[..., :3], 255 - on_white, atol=1)
    flat = translator(Image.fromarray(pixels), flatten=True)
    assert flat.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(flat), np.asarray(kept)[..., :3])


def test_alpha_grows_with_the_image(tmp_path: Path, models: Any) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx", scale=2))
    left_opaque = Image.new("RGBA", (20, 10), "red")
    left_opaque.paste((0, 0, 0, 0), (10, 0, 20, 10))
    doubled = np.asarray(translator(left_opaque))
    assert doubled.shape == (20, 40, 4)
    assert (doubled[:, :16, 3] == 255).all()
    assert (doubled[:, 24:, 3] == 0).all()


@pytest.mark.parametrize(
    ("channels_in", "channels_out", "mode", "result"),
    [
        (1, 3, "LA", "RGBA"),
        (3, 1, "RGBA", "LA"),
        (3, 1, "RGB", "L"),
        (1, 1, "RGB", "L"),
        (3, 3, "L", "RGB"),
        (3, 3, "CMYK", "RGB"),
        (3, 3, "1", "RGB"),
        (4, 4, "RGBA", "RGBA"),
        (4, 4, "RGB", "RGBA"),
        (4, 3, "RGBA", "RGB"),  # the model was told the alpha and gives none
        (3, 4, "RGBA", "RGBA"),
        (2, 2, "LA", "LA"),
    ],
)
def test_modes(tmp_path: Path, models: Any, channels_in: int, channels_out: int, mode: str, result: str) -> None:
    path = models.build(tmp_path / "m.onnx", channels_in=channels_in, channels_out=channels_out, multiple=2)
    translated = Translator.load(path)(Image.new(mode, (5, 3)))
    assert (translated.mode, translated.size) == (result, (5, 3))


def test_a_model_with_alpha_sees_it_and_makes_its_own(tmp_path: Path, models: Any) -> None:
    pixels = noise(4, 4, 4)
    translator = Translator.load(models.build(tmp_path / "m.onnx", channels_in=4, channels_out=4))
    np.testing.assert_array_equal(np.asarray(translator(Image.fromarray(pixels))), 255 - pixels)


def test_orientation_is_applied_to_pillow_images(tmp_path: Path, models: Any) -> None:
    pixels = noise(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    translator = Translator.load(models.build(tmp_path / "m.onnx"))
    with Image.open(tmp_path / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(translator(image)), 255 - pixels[::-1, ::-1])


def test_a_run_directory_is_its_model_and_load_is_the_front_door(tmp_path: Path, models: Any) -> None:
    models.build(tmp_path / "model.onnx", plugin="mine", trained_size=64)
    translator = i2i.load(tmp_path, device="cpu")
    assert translator.description.plugin == "mine"
    assert translator.description.trained_size == 64
    assert (translator.provider, translator.device) == ("CPUExecutionProvider", "cpu")
    pixels = noise(3, 3, 3)
    np.testing.assert_array_equal(translator(pixels), 255 - pixels)


def test_a_description_that_is_not_kept_is_an_error(tmp_path: Path, models: Any) -> None:
    proto = models.graph(models.describe())
    path = models.save(tmp_path / "m.onnx", proto, models.describe(scale=2).properties())
    with pytest.raises(ArtifactError, match=r"m\.onnx: gave uint8 \[1, 4, 4, 3\] where its description promises"):
        Translator.load(path)(noise(4, 4, 3))


def test_a_model_that_fails_names_itself_and_the_size(tmp_path: Path, models: Any, capfd: Any) -> None:
    proto = models.graph(models.describe(multiple=8))
    path = models.save(tmp_path / "m.onnx", proto, models.describe().properties())
    with pytest.raises(ArtifactError, match=r"m\.onnx: fails at 5 x 4 pixels: ") as caught:
        Translator.load(path)(noise(4, 5, 3))
    assert len(str(caught.value).splitlines()) == 2
    assert capfd.readouterr() == ("", "")  # onnxruntime logs on its own where it may
