"""Errors as answers: `application/problem+json` (RFC 9457), or as the Open Inference Protocol has them."""

from __future__ import annotations

import http
import math
from typing import Any, Final

from starlette.responses import JSONResponse

from i2i.errors import I2IError, ImageError, OutOfMemoryError
from i2i.serving.errors import (
    BusyError,
    InvalidError,
    LateError,
    NotAnImageError,
    StoppingError,
    TooLargeError,
    UnknownModelError,
    WrongKindError,
)

PROTOCOL: Final = "/v2"  # below which errors are those of the Open Inference Protocol
_STATUS: Final[dict[type[I2IError], int]] = {
    UnknownModelError: 404,
    TooLargeError: 413,
    NotAnImageError: 415,
    WrongKindError: 422,
    InvalidError: 422,
    BusyError: 429,
    StoppingError: 503,
    OutOfMemoryError: 503,
    LateError: 504,
    ImageError: 422,  # behind OutOfMemoryError, which is one
}
FAILED: Final = 500
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string", "nullable": True},
    },
}
"""Of an answer that is a problem, for OpenAPI."""


class ProblemError(I2IError):
    """A request that is refused with a status, a sentence, and what to do."""

    def __init__(self, status: int, message: str, hint: str | None = None, **headers: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def status_of(error: I2IError) -> int:
    """The HTTP status of an error; 500 of those that no request should cause, like a model file that is broken."""
    if isinstance(error, ProblemError):
        return error.status
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), FAILED)


def answer(error: I2IError, path: str) -> JSONResponse:
    """The answer to a request of `path` that failed with `error`.

    Raises the error itself where the server is to blame: its text, which may name files, is for the log alone.
    """
    status = status_of(error)
    if status == FAILED:
        raise error
    headers = dict(error.headers) if isinstance(error, ProblemError) else {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return problem(status, error.message, error.hint, path, headers)


def problem(
    status: int, detail: str, hint: str | None, path: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error of this status for a request of `path`."""
    if path == PROTOCOL or path.startswith(f"{PROTOCOL}/"):
        return JSONResponse({"error": detail if hint is None else f"{detail}. {hint}"}, status, headers)
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "hint": hint,
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")
