"""Which status an error of the engine becomes."""

import pytest

from i2i.errors import ArtifactError, DeviceError, I2IError, ImageError, OutOfMemoryError, RunError
from i2i.serving.engine import Engine
from i2i.serving.errors import (
    BusyError,
    InvalidError,
    LateError,
    NotAnImageError,
    StoppingError,
    TooLargeError,
    WrongKindError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BusyError("busy", "later", retry_after=2.2), 429),
        (LateError("late"), 504),
        (StoppingError("stopping"), 503),
        (OutOfMemoryError("no memory"), 503),
        (TooLargeError("large"), 413),
        (NotAnImageError("text"), 415),
        (WrongKindError("kind"), 422),
        (InvalidError("invalid"), 422),
        (ImageError("image"), 422),
    ],
)
def test_each_error_has_its_status(client, photo, monkeypatch, error, status):
    async def fail(*_, **__):
        raise error

    monkeypatch.setattr(Engine, "translate", fail)
    answer = client.post("/v1/translate", content=photo)
    assert answer.status_code == status
    assert answer.json()["detail"] == error.message
    assert answer.json()["hint"] == error.hint
    assert answer.headers.get("retry-after") == ("3" if status == 429 else None)


@pytest.mark.parametrize("kind", [ArtifactError, DeviceError, RunError, I2IError, RuntimeError])
@pytest.mark.parametrize("path", ["/v1/translate", "/v2/models/inverter/infer"])
def test_what_is_no_clients_fault_is_told_to_the_log_alone(client, photo, monkeypatch, caplog, kind, path):
    async def fail(*_, **__):
        raise kind("/srv/models/m.onnx: broken")

    monkeypatch.setattr(Engine, "translate" if path.startswith("/v1") else "infer", fail)
    tensor = {"name": "image", "shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}
    sent = {"content": photo} if path.startswith("/v1") else {"json": {"inputs": [tensor]}}
    answer = client.post(path, **sent)
    assert answer.status_code == 500
    assert "srv" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    (said,) = [record for record in caplog.records if record.exc_info]
    assert "/srv/models/m.onnx: broken" in str(said.exc_info[1])
    assert said.request == answer.headers["x-request-id"]


def test_too_little_memory_is_said(client, photo, monkeypatch):
    async def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Engine, "translate", fail)
    answer = client.post("/v1/translate", content=photo)
    assert answer.status_code == 503
    assert "memory" in answer.json()["detail"]
