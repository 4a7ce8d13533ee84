"""Which status an error of the engine becomes."""

import pytest

from i2i.errors import OutOfMemoryError
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
