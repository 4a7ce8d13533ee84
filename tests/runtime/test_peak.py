from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from i2i.errors import OutOfMemoryError
from i2i.runtime.devices.providers import PROVIDERS
from i2i.runtime.measure import peak
from i2i.runtime.session import open_session


def test_peaks_of_matrices_leave_no_engines_beside_the_model(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(models.build(tmp_path / "m.onnx"), "image", "tensorrt")
    kept = list((tmp_path / "m.tensorrt").iterdir())
    monkeypatch.setattr(peak, "_SIDES", (64,))
    assert peak.matrix_peak(session) > 0
    assert list((tmp_path / "m.tensorrt").iterdir()) == kept
    assert not Path(fake.opened[-1].asked[PROVIDERS["tensorrt"].name]["trt_engine_cache_path"]).exists()


def test_matrices_that_do_not_fit_leave_the_peak_of_those_that_do(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = open_session(models.build(tmp_path / "m.onnx"), "image", "cpu")

    def refuse(model: Any, options: Any, providers: Any, enable_fallback: int) -> Any:
        if len(model) > least:
            raise RuntimeError("Failed to allocate memory")
        return fake(model, options, providers, enable_fallback)

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    monkeypatch.setattr(peak, "_SIDES", (32, 128))
    monkeypatch.setattr(peak, "_LONG_ENOUGH", 60)
    least = len(peak.products(64))
    assert peak.matrix_peak(session) > 0
    least = 0
    with pytest.raises(OutOfMemoryError):
        peak.matrix_peak(session)
