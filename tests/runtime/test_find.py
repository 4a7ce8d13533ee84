from pathlib import Path
from typing import Any

import numpy as np
import pytest

from i2i.errors import ArtifactError
from i2i.runtime.model.find import find_model, read_description
from i2i.runtime.translator import Translator


@pytest.fixture
def run(tmp_path: Path, models: Any) -> Path:
    """A run with a model for each direction; that of BtoA mirrors."""
    folder = tmp_path / "run"
    folder.mkdir()
    models.build(folder / "model.onnx", direction="AtoB", plugin="cyclegan")
    models.build(folder / "model.BtoA.onnx", direction="BtoA", plugin="cyclegan", mirror=True)
    models.build(folder / "other.onnx", direction="CtoD")
    return folder


@pytest.mark.parametrize("given", ["", "model.onnx", "model.BtoA.onnx"])
def test_a_direction_is_found_from_the_run_and_from_each_of_its_models(run: Path, given: str) -> None:
    assert find_model(run / given, "AtoB") == run / "model.onnx"
    assert find_model(run / given, "BtoA") == run / "model.BtoA.onnx"
    assert find_model(run / given) == run / (given or "model.onnx")


def test_models_under_another_name_find_each_other(run: Path) -> None:
    (run / "model.onnx").rename(run / "horse.onnx")
    (run / "model.BtoA.onnx").rename(run / "horse.BtoA.onnx")
    assert find_model(run / "horse.onnx", "BtoA") == run / "horse.BtoA.onnx"
    assert find_model(run / "horse.BtoA.onnx", "AtoB") == run / "horse.onnx"


def test_what_a_file_says_of_itself_counts_and_not_its_name(run: Path) -> None:
    (run / "model.onnx").rename(run / "x")
    (run / "model.BtoA.onnx").rename(run / "model.onnx")
    (run / "x").rename(run / "model.BtoA.onnx")
    assert find_model(run, "AtoB") == run / "model.BtoA.onnx"
    assert find_model(run, "BtoA") == run / "model.onnx"


def test_a_direction_that_is_not_there_is_answered_with_those_that_are(run: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        find_model(run, "BtoX")
    message = str(caught.value)
    assert message.startswith(f"{run}: direction 'BtoX': not there, did you mean 'BtoA'?\n")
    assert "there are AtoB (model.onnx), BtoA (model.BtoA.onnx)." in message
    (run / "model.BtoA.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"not there.*\n  In .* there is only AtoB \(model\.onnx\)\."):
        find_model(run / "model.onnx", "BtoA")


@pytest.mark.parametrize("direction", ["", "../run", "a/b", "btoa"])
def test_an_odd_direction_is_just_not_there(run: Path, direction: str) -> None:
    with pytest.raises(ArtifactError, match=f"direction '{direction}': not there"):
        find_model(run, direction)


def test_a_model_without_directions_says_so(tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    with pytest.raises(ArtifactError, match=r"m\.onnx: has no directions: it translates in one way only"):
        find_model(path, "BtoA")


def test_a_broken_file_is_named_if_it_is_meant_and_passed_over_if_not(run: Path) -> None:
    (run / "model.old.onnx").write_bytes(b"text")
    assert find_model(run / "model.BtoA.onnx", "AtoB") == run / "model.onnx"
    (run / "model.BtoA.onnx").write_bytes(b"text")
    with pytest.raises(ArtifactError, match=r"model\.BtoA\.onnx: not a whole ONNX model"):
        find_model(run, "BtoA")


def test_the_translator_takes_a_direction(run: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Translator.load(run)(pixels), 255 - pixels)
    other = Translator.load(run, "cpu", direction="BtoA")
    assert other.description.direction == "BtoA"
    np.testing.assert_array_equal(other(pixels), 255 - pixels[:, ::-1])


def test_a_description_is_read_without_opening_the_model(tmp_path: Path, models: Any) -> None:
    description = models.describe(training='größer \n"x"', classes=("a", "ü"), trained_size=2**16)
    proto = models.graph(models.describe())
    proto.graph.node[0].op_type = "Teleport"  # which onnxruntime does not know
    path = models.save(tmp_path / "m.onnx", proto, {**description.properties(), "author": "", "": "x"})
    assert read_description(path) == description


def test_what_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for name in ("x" * 300, "loop"):
        with pytest.raises(ArtifactError, match=name):
            find_model(tmp_path / name)
