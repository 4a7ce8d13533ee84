import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import onnxruntime
import pytest

from i2i.runtime.devices import trial
from i2i.runtime.devices.providers import PROVIDERS
from i2i.runtime.translator import Translator


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"i2i_test_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def inverter(tmp_path_factory: pytest.TempPathFactory, models: Any) -> Translator:
    """A translator that inverts."""
    return Translator.load(models.build(tmp_path_factory.mktemp("model") / "m.onnx"), "cpu")


@pytest.fixture(scope="session")
def clips() -> ModuleType:
    """The videos of clips.py, how they are made and what is seen in them."""
    pytest.importorskip("av")
    return _beside("clips")


@pytest.fixture(params=["libvips", "Pillow"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With libvips, and as if it were not installed."""
    if request.param == "Pillow":
        monkeypatch.setitem(sys.modules, "pyvips", None)
    else:
        pytest.importorskip("pyvips")
    return str(request.param)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`driver(status, devices)` gives this machine an NVIDIA driver, and `driver()` takes it away; see driver.py."""
    fakes = _beside("driver")

    def install(**facts: int) -> Any:
        found = fakes.Driver(**facts) if facts else None
        fakes.install(monkeypatch, found)
        return found

    trial.tried.cache_clear()
    yield install
    trial.tried.cache_clear()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, driver: Any) -> Any:
    """onnxruntime with every provider, on a machine with two GPUs: the class of its sessions, see inference.py."""
    sessions = _beside("inference").Session
    driver(devices=2)
    monkeypatch.setattr(onnxruntime, "InferenceSession", sessions)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [each.name for each in PROVIDERS.values()])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda directory: None)
    monkeypatch.setattr(sys, "platform", "linux")
    return sessions
