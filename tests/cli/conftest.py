import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """The builders of tiny artifacts in tests/runtime/models.py."""
    spec = importlib.util.spec_from_file_location(
        "i2i_test_models", Path(__file__).parents[1] / "runtime" / "models.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the test's own, which is the working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def model(tmp_path: Path, models: Any) -> str:
    return str(models.build(tmp_path / "m.onnx", multiple=4, minimum=8))
