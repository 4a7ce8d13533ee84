"""One request and its answer: the identity, time and figures that logs, metrics and handlers share."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from starlette.requests import Request

_KEY: Final = "exchange"
_IDENTITY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


@dataclass
class Exchange:
    """What is known of a request so far; seconds."""

    identity: str
    started: float = field(default_factory=time.monotonic)
    status: int = 0
    received: int = 0
    sent: int = 0
    model: str = ""
    queued: float | None = None
    computed: float | None = None


def begin(scope: MutableMapping[str, Any]) -> Exchange:
    """Keeps a new one with the request, under the X-Request-Id that the client gave if it is a plain word."""
    given = header(scope["headers"], b"x-request-id")
    exchange = Exchange(given if _IDENTITY.fullmatch(given) else uuid.uuid4().hex[:16])
    scope.setdefault("state", {})[_KEY] = exchange
    return exchange


def of(request: Request) -> Exchange:
    """That of a request."""
    found = request.scope["state"][_KEY]
    assert isinstance(found, Exchange)
    return found


def status(scope: Mapping[str, Any]) -> int:
    """The status with which a request was answered; 0: it was not yet."""
    found = scope.get("state", {}).get(_KEY)
    return found.status if isinstance(found, Exchange) else 0


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """The first header of this name, in lower case, or nothing."""
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


def length(text: str) -> int | None:
    """The number of bytes that a header says; None for what is no number of at most 18 digits."""
    return int(text) if _LENGTH.fullmatch(text) else None


def path(scope: Mapping[str, Any]) -> str:
    """A request's path below that under which a proxy shows the server, whether the proxy took that away or not."""
    whole: str = scope["path"]
    root: str = scope.get("root_path", "")
    return whole.removeprefix(root) if root and whole.startswith(f"{root}/") else whole
