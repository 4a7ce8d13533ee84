from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.errors import ArtifactError, I2IError, ImageError
from i2i.noise import draw
from i2i.runtime.generator import Generator

CLASSES = ("nought", "one", "two")


def expected(noise: np.ndarray, labels: np.ndarray | int = 0, *, size: int = 4, channels: int = 3) -> np.ndarray:
    """What the model of models.noise_graph makes, value by value."""
    turns = np.arange(size * size * channels) % noise.shape[1]
    values = 100 + np.float32(40) * noise[:, turns] + 10 * np.reshape(labels, (-1, 1))
    return np.clip(np.round(values), 0, 255).astype(np.uint8).reshape(len(noise), size, size, channels)


def close(made: np.ndarray, wanted: np.ndarray) -> None:
    """Equal, but for a value that lies between two levels, which float32 may round either way."""
    assert made.shape == wanted.shape
    assert made.dtype == np.uint8
    assert np.abs(made.astype(int) - wanted).max(initial=0) <= 1
    assert (made != wanted).mean() < 0.001 if made.size else True


def test_images_are_made_of_the_noise_of_their_seed(tmp_path: Path, models: Any) -> None:
    generator = Generator.load(models.build_noise(tmp_path / "m.onnx"))
    images = generator(10, seed=3)
    close(images, expected(draw(3, 10, 5)))
    np.testing.assert_array_equal(generator(4, seed=3, first=6), images[6:])
    np.testing.assert_array_equal(generator(1, seed=3), images[:1])
    assert (generator(10, seed=4) != images).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(generator(3), generator(3, seed=0))
    assert (generator.device, generator.provider, generator.note) == ("cpu", "CPUExecutionProvider", None)


@pytest.mark.parametrize("count", [0, 63, 64, 65, 200])
def test_any_number_of_images_is_made(tmp_path: Path, models: Any, count: int) -> None:
    path = models.build_noise(tmp_path / "m.onnx", size=3, channels_out=1, classes=CLASSES)
    labels = np.arange(count) % 3
    close(Generator.load(path)(np.int64(count), seed=1), expected(draw(1, count, 5), labels, size=3, channels=1))


def test_labels_are_names_or_numbers_or_all_in_turn(tmp_path: Path, models: Any) -> None:
    generator = Generator.load(models.build_noise(tmp_path / "m.onnx", classes=CLASSES))
    noise = draw(0, 5, 5)
    close(generator(5), expected(noise, np.array([0, 1, 2, 0, 1])))
    np.testing.assert_array_equal(generator(2, first=3), generator(5)[3:])
    for label in ("two", "2", 2, np.int64(2)):
        close(generator(5, label=label), expected(noise, 2))


def test_a_class_called_by_a_number_is_that_class(tmp_path: Path, models: Any) -> None:
    generator = Generator.load(models.build_noise(tmp_path / "m.onnx", classes=("2", "0", "1")))
    assert [generator.number(label) for label in ("0", "1", "2")] == [1, 2, 0]
    assert [generator.number(label) for label in (0, 1, 2)] == [0, 1, 2]


def test_an_unknown_label_is_refused_with_the_known_ones(tmp_path: Path, models: Any) -> None:
    generator = Generator.load(models.build_noise(tmp_path / "m.onnx", classes=CLASSES))
    with pytest.raises(
        I2IError, match=r"label 'ona': unknown, did you mean 'one'\?\n  .*: nought, one, two; or 0 to 2\."
    ):
        generator(1, label="ona")
    with pytest.raises(I2IError, match="label '11111"):
        generator(1, label="1" * 5000)
    for label in (3, -1, "3", "-1", "", "²"):
        with pytest.raises(I2IError, match=f"label '{label}': unknown"):
            generator(1, label=label)
    many = Generator.load(models.build_noise(tmp_path / "many.onnx", classes=tuple(f"c{n}" for n in range(100))))
    with pytest.raises(I2IError, match=r"c0, c1, .*, c19 and 80 more; or 0 to 99\."):
        many(1, label="x")
    plain = Generator.load(models.build_noise(tmp_path / "plain.onnx"))
    with pytest.raises(I2IError, match="label '1': the model knows no classes"):
        plain(1, label="1")


def test_noise_and_labels_of_ones_own(tmp_path: Path, models: Any) -> None:
    generator = Generator.load(models.build_noise(tmp_path / "m.onnx", classes=CLASSES))
    noise = np.linspace(-2, 2, 10, dtype=np.float32).reshape(2, 5)
    close(generator.decode(noise, np.array([2, 0])), expected(noise, np.array([2, 0])))
    flipped = noise.astype(np.float64)[::-1, ::-1]  # another type, not contiguous
    close(generator.decode(flipped, np.array([1, 1], np.int32)), expected(flipped.astype(np.float32), 1))


@pytest.mark.parametrize(
    ("classes", "shape", "labels", "reason"),
    [
        ((), (2, 4), None, r"noise of shape \[2, 4\]: the model takes \[N, 5\]"),
        ((), (5,), None, r"noise of shape \[5\]"),
        ((), (2, 5), [0, 1], "the model knows no classes"),
        (CLASSES, (2, 5), None, r"labels None: the model takes labels \[2\]"),
        (CLASSES, (2, 5), [0], r"labels \[1\]: the model takes labels \[2\]"),
        (CLASSES, (2, 5), [0, 3], "labels 0 to 3: the model knows 3 classes"),
        (CLASSES, (2, 5), [-1, 2], "labels -1 to 2: the model knows 3 classes"),
    ],
)
def test_noise_that_does_not_fit_is_refused(
    tmp_path: Path, models: Any, classes: tuple[str, ...], shape: tuple[int, ...], labels: list[int] | None, reason: str
) -> None:
    generator = Generator.load(models.build_noise(tmp_path / "m.onnx", classes=classes))
    with pytest.raises(I2IError, match=reason):
        generator.decode(np.zeros(shape, np.float32), None if labels is None else np.array(labels))


def test_an_image_is_no_number_of_images(tmp_path: Path, models: Any) -> None:
    generator: Any = Generator.load(models.build_noise(tmp_path / "m.onnx"))
    for given in (Image.new("RGB", (4, 4)), np.zeros((4, 4, 3), np.uint8), "photo.png"):
        with pytest.raises(ImageError, match=r"makes images from noise alone\n  .*i2i translate"):
            generator(given)


def test_a_run_directory_is_its_model(tmp_path: Path, models: Any) -> None:
    models.build_noise(tmp_path / "model.onnx", plugin="mine")
    assert Generator.load(tmp_path, "cpu").description.plugin == "mine"


def test_a_model_that_fails_names_itself_and_how_many_it_was_to_make(tmp_path: Path, models: Any) -> None:
    proto = models.noise_graph(models.describe_noise())
    (turns,) = (tensor for tensor in proto.graph.initializer if tensor.name == "turns")
    turns.raw_data = np.full(48, 7, np.int64).tobytes()  # there is no eighth number
    path = models.save(tmp_path / "f.onnx", proto, models.describe_noise().properties())
    with pytest.raises(ArtifactError, match=r"f\.onnx: fails at 2 images: "):
        Generator.load(path)(2)
