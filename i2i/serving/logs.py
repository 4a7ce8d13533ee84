"""One line of log for each request, as text or as JSON: never what is in images, and no tokens."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from i2i.serving import exchange as exchanges
from i2i.serving.problems import FAILED, problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from i2i.serving.exchange import Exchange
    from i2i.serving.observing import Metrics

LOGGER: Final = "i2i.serving"
_GONE: Final = 499  # what is logged of a client that did not wait; it is never sent
_LONGEST: Final = 200  # characters of a path
_FAILED: Final = FAILED, "the server failed"


class Log:
    """Middleware that begins an exchange, ends it with a line of log, and answers what nobody foresaw.

    An error that is not the client's is logged with its traceback and the request's id, which alone the client is told.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, root_path: str) -> None:
        self._app = app
        self._root_path = root_path
        self._metrics = metrics
        self._logger = logging.getLogger(LOGGER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return
        scope["root_path"] = self._root_path
        exchange = exchanges.begin(scope)

        async def counting() -> Message:
            message = await receive()
            exchange.received += len(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message.setdefault("headers", []).append((b"x-request-id", exchange.identity.encode()))
            exchange.sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counting, sending)
        except ClientDisconnect:
            exchange.status = exchange.status or _GONE
        except Exception as error:
            self._logger.exception("request %s failed", exchange.identity, extra={"request": exchange.identity})
            if exchange.status:
                raise  # the answer has begun, and the connection must end for the client to know
            status, detail = (503, "the server has not enough memory") if isinstance(error, MemoryError) else _FAILED
            failed = problem(
                status, detail, f"Its log says why, at request {exchange.identity}.", exchanges.path(scope)
            )
            await failed(scope, receive, sending)
        finally:
            self._end(scope, exchange)

    def _end(self, scope: Scope, exchange: Exchange) -> None:
        seconds = time.monotonic() - exchange.started
        route = str(getattr(scope.get("route"), "path", "other"))
        self._metrics.answered(route, scope["method"], exchange, seconds)
        facts: dict[str, Any] = {
            "request": exchange.identity,
            "client": (scope.get("client") or ("",))[0],
            "method": scope["method"],
            "path": scope["path"][:_LONGEST],
            "status": exchange.status,
            "received": exchange.received,
            "bytes": exchange.sent,
            "seconds": round(seconds, 4),
        }
        if exchange.model:
            facts["model"] = exchange.model
        if exchange.computed is not None:
            facts |= {"queued": round(exchange.queued or 0, 4), "computed": round(exchange.computed, 4)}
        self._logger.info("%(method)s %(path)s %(status)s", facts, extra={"facts": facts})


class Text(logging.Formatter):
    """A line for people; what a client sent is shown with its control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        facts: dict[str, Any] | None = getattr(record, "facts", None)
        if facts is None:
            return f"{at} {record.levelname.lower()}: {super().format(record)}"
        line = f"{at} {facts['method']} {facts['path']} {facts['status']} {facts['bytes']} B {facts['seconds']:.3f} s"
        if "computed" in facts:
            line += f" (queued {facts['queued']:.3f}, computed {facts['computed']:.3f})"
        return _plain(f"{line} {facts.get('model', '')} {facts['request']}".replace("  ", " "))


class Json(logging.Formatter):
    """A JSON object a line, for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line: dict[str, Any] = {"time": at, "level": record.levelname.lower()}
        facts: dict[str, Any] | None = getattr(record, "facts", None)
        if facts is None:
            line["message"] = record.getMessage()
            if hasattr(record, "request"):
                line["request"] = record.request
        else:
            line |= facts
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
