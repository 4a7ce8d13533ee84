"""The application: routes over an engine, and the middleware that each request passes."""

from __future__ import annotations

import http
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from i2i.errors import I2IError
from i2i.serving import inference_protocol, observing, pages, problems, routes_v1
from i2i.serving.body import Uploads
from i2i.serving.exchange import path
from i2i.serving.logs import Log
from i2i.serving.security import Headers, Site, Token
from i2i.version import __version__

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from i2i.serving.engine import Engine
    from i2i.serving.settings import Settings

_ABOUT: Final = """Images into images, and noise into images, by the models that this server has.

Errors are `application/problem+json` with a `detail` and a `hint`. Where the server has a token, send it as
`Authorization: Bearer TOKEN`."""
_SENT: Final = ["Authorization", "Content-Type", "Inference-Header-Content-Length", "X-Request-Id"]
_SHOWN: Final = [
    *("Content-Disposition", "Inference-Header-Content-Length", "Retry-After", "Server-Timing"),
    *("X-I2I-Model", "X-Request-Id"),
]


def create(engine: Engine, settings: Settings, metrics: observing.Metrics | None = None) -> FastAPI:
    """The application. metrics: the observer that the engine was made with, so that `/metrics` has its figures."""
    metrics = metrics or observing.Metrics()
    # From the outside in. What a browser asks before it sends a page's request from elsewhere has no token.
    middleware = [
        Middleware(Headers),
        Middleware(Log, metrics=metrics, root_path=settings.root_path),
        Middleware(Site, settings=settings),
    ]
    if settings.origins:
        middleware.append(
            Middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["GET", "POST"],
                       allow_headers=_SENT, expose_headers=_SHOWN)
        )  # fmt: skip
    if settings.token is not None:
        middleware.append(Middleware(Token, token=settings.token))
    app = FastAPI(
        title="i2i", version=__version__, description=_ABOUT, openapi_url=None, docs_url=None, redoc_url=None,
        middleware=middleware, redirect_slashes=False,
        exception_handlers={I2IError: _failed, HTTPException: _refused, RequestValidationError: _invalid},
    )  # fmt: skip
    app.openapi_version = "3.0.3"
    app.state.stopping = False  # true from when the server is told to stop: what was accepted is still answered
    uploads = Uploads(engine.limits.uploads)
    app.include_router(routes_v1.router(engine, uploads))
    app.include_router(inference_protocol.router(engine, uploads))
    app.include_router(observing.router(metrics))
    app.include_router(pages.reference(app, token=settings.token is not None))
    if settings.page:
        app.include_router(pages.page())
    return app


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, I2IError)
    return problems.answer(error, path(request.scope))


async def _refused(request: Request, error: Exception) -> Response:
    """What the framework refuses: paths and methods that there are not."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    detail = {404: "there is nothing here", 405: f"{request.method} is not possible here"}.get(status, error.detail)
    hint = "GET /docs shows what there is." if status in (404, 405) else None
    detail = detail or http.HTTPStatus(status).phrase
    return problems.problem(status, detail, hint, path(request.scope), dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    return problems.problem(422, f"{place}: {first['msg'].lower()}"[:300], None, path(request.scope))
