from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.errors import ArtifactError, I2IError
from i2i.runtime.devices import providers
from i2i.serving import models as opening
from i2i.serving.models import open_models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, models: Any) -> Path:
    """Runs of one direction and of two, and files."""
    folder = tmp_path_factory.mktemp("models")
    for run, names in {
        "faces-001": {"model.onnx": "", "model.int8.onnx": ""},
        "earth": {"model.onnx": "AtoB", "model.BtoA.onnx": "BtoA"},
        "a b/c": {"model.onnx": "", "other one.onnx": ""},
    }.items():
        (folder / run).mkdir(parents=True)
        for name, direction in names.items():
            precision = "int8" if "int8" in name else "fp32"
            models.build(folder / run / name, direction=direction, precision=precision, multiple=4, minimum=8)
    models.build_noise(folder / "digits.onnx", classes=("0", "1"))
    (folder / "broken.onnx").write_bytes(b"not a model")
    for place in ("faces-001/examples", "earth/examples", "earth/examples/BtoA"):
        (folder / place).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (4, 4)).save(folder / place / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["faces-001"], ["faces-001"]),
        (["faces-001/model.onnx"], ["faces-001"]),
        (["faces-001/model.int8.onnx"], ["faces-001-int8"]),
        (["earth"], ["earth", "earth-BtoA"]),
        (["earth/model.BtoA.onnx"], ["earth-BtoA"]),
        (["digits.onnx", "faces-001"], ["digits", "faces-001"]),
        (["a b/c/other one.onnx"], ["other-one"]),
        (["digits.onnx", "digits.onnx"], ["digits", "digits-2"]),
        (["maps=earth"], ["maps", "maps-BtoA"]),
        (["maps=earth/model.BtoA.onnx"], ["maps"]),
        (["digits=faces-001", "digits.onnx"], ["digits", "digits-2"]),
    ],
)
def test_models_have_names(folder: Path, given: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folder)
    served = open_models(given, "cpu")
    assert list(served) == names
    assert [each.name for each in served.values()] == names


def test_each_model_runs_and_tells_of_itself(folder: Path):
    served = open_models([str(folder / "earth"), str(folder / "digits.onnx")], "cpu")
    assert [each.description.direction for each in served.values()] == ["AtoB", "BtoA", ""]
    assert [each.description.kind for each in served.values()] == ["image", "image", "noise"]
    assert served["earth-BtoA"].path == folder / "earth/model.BtoA.onnx"
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    assert np.array_equal(served["earth"].runner(picture), 255 - picture)
    assert served["digits"].runner(3).shape == (3, 4, 4, 3)


@pytest.mark.parametrize(("cores", "lanes"), [(1, None), (3, 3)])
def test_of_several_cores_a_model_can_be_kept_to_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cores: int, lanes: int | None
):
    for module in (opening, providers):
        monkeypatch.setattr(module, "usable_cores", lambda: cores)
    served = open_models([str(folder / "faces-001")], "cpu")["faces-001"]
    assert (served.narrow and served.narrow.lanes) == lanes
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    if served.narrow:
        assert np.array_equal(served.narrow(picture), served.runner(picture))


def test_samples_are_what_a_run_has_shown_itself_on(folder: Path):
    served = open_models([str(folder / "earth"), str(folder / "faces-001"), str(folder / "digits.onnx")], "cpu")
    assert served["earth"].samples == tuple(folder / f"earth/examples/{number}.png" for number in range(2))
    assert served["earth-BtoA"].samples == tuple(folder / f"earth/examples/BtoA/{number}.png" for number in range(2))
    assert len(served["faces-001"].samples) == 2
    assert served["digits"].samples == ()


def test_images_beside_a_file_that_no_run_made_are_not_shown(tmp_path: Path, models: Any):
    models.build(tmp_path / "mine.onnx")
    (tmp_path / "examples").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "examples" / "private.png")
    assert open_models([str(tmp_path / "mine.onnx")], "cpu")["mine"].samples == ()


def test_a_path_may_hold_an_equals_sign(folder: Path, models: Any):
    models.build(folder / "x=y.onnx")
    assert list(open_models([str(folder / "x=y.onnx")], "cpu")) == ["x-y"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "no model to serve"),
        (["nothing.onnx"], r"nothing\.onnx: there is no such file"),
        (["broken.onnx"], r"broken\.onnx"),
        (["digits.onnx", "broken.onnx"], r"broken\.onnx"),
        (["a b"], "holds no model"),
        (["no spaces=digits.onnx"], "'no spaces' cannot be a model's name"),
        (["=digits.onnx"], "cannot be a model's name"),
        ([".x=digits.onnx"], "cannot be a model's name"),
        (["one=digits.onnx", "one=faces-001"], r"'one' is the name of digits\.onnx"),
    ],
)
def test_what_cannot_be_served_is_named(
    folder: Path, given: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(I2IError, match=said) as refused:
        open_models(given, "cpu")
    assert refused.value.hint


def test_a_broken_direction_does_not_hide_the_others(tmp_path: Path, models: Any):
    models.build(tmp_path / "model.onnx", direction="AtoB")
    (tmp_path / "model.BtoA.onnx").write_bytes(b"not a model")
    assert list(open_models([str(tmp_path)], "cpu")) == [tmp_path.name]
    with pytest.raises(ArtifactError):
        open_models([str(tmp_path / "model.BtoA.onnx")], "cpu")
