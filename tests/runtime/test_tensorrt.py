import os
import sys
from pathlib import Path

import pytest

from i2i.runtime.devices.tensorrt import engine_folder, load_libraries


def test_engines_lie_beside_the_model_by_what_they_fit(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    folder = engine_folder(model, b"a", "onnxruntime1.31", "NVIDIA H100 80GB/x")
    assert folder is not None
    assert folder.parent == tmp_path / "model.tensorrt"
    assert folder.name.endswith("-onnxruntime1.31-NVIDIA_H100_80GB_x")
    assert engine_folder(model, b"a", "onnxruntime1.31", "NVIDIA H100 80GB/x") == folder
    others = {
        engine_folder(model, b"b", "onnxruntime1.31", "NVIDIA H100 80GB/x"),
        engine_folder(model, b"a", "onnxruntime1.32", "NVIDIA H100 80GB/x"),
        engine_folder(model, b"a", "onnxruntime1.31", "NVIDIA H200"),
    }
    assert len(others) == 3
    assert folder not in others


def test_where_the_model_lies_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where the folder should be: permissions do not hold back every user that runs tests.
    (tmp_path / "model.tensorrt").write_text("")
    for variable in ("I2I_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("I2I_CACHE", str(tmp_path / "own"))
    assert str(engine_folder(tmp_path / "model.onnx", b"a")).startswith(str(tmp_path / "own" / "tensorrt"))
    monkeypatch.delenv("I2I_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert str(engine_folder(tmp_path / "model.onnx", b"a")).startswith(str(tmp_path / "cache" / "i2i" / "tensorrt"))
    (tmp_path / "cache" / "i2i").rename(tmp_path / "cache" / "moved")
    (tmp_path / "cache" / "i2i").write_text("")
    assert engine_folder(tmp_path / "model.onnx", b"a") is None


@pytest.mark.skipif(sys.platform != "linux", reason="the libraries have other names")
def test_libraries_that_do_not_load_are_left_to_onnxruntime_to_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "tensorrt_libs"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "libnvinfer.so.10").write_text("no library")
    monkeypatch.syspath_prepend(os.fspath(tmp_path))
    assert load_libraries() is None
