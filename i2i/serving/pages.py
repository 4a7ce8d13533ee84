"""The page, and the API's reference with Swagger UI: files of our own, from this server."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, JSONResponse, Response

from i2i.serving.problems import ProblemError

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGE: Final = Path(__file__).with_name("page")
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_READ: Final = ["GET", "HEAD"]
_CACHE: Final = {"Cache-Control": "no-cache"}  # asked again each time, which is cheap by the ETag
_SWAGGER: Final = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_REFERENCE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>i2i: the API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<div id="reference"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
"""
_START: Final = 'SwaggerUIBundle({ url: "openapi.json", dom_id: "#reference", validatorUrl: null });\n'


def page() -> APIRouter:
    """`/` and the files that it consists of."""
    routes = APIRouter(include_in_schema=False)
    files = {path.name: path for path in PAGE.iterdir() if path.suffix and path.name != "index.html"}

    @routes.api_route("/", methods=_READ)
    async def index(request: Request) -> Response:
        return _file(request, PAGE / "index.html")

    @routes.api_route("/page/{name}", methods=_READ)
    async def part(request: Request, name: str) -> Response:
        if name not in files:  # no path is made of what a client says
            raise ProblemError(404, f"the page has no file '{name[:100]}'")
        return _file(request, files[name])

    return routes


def reference(app: FastAPI, *, token: bool) -> APIRouter:
    """`/docs` and `/openapi.json`; token: whether requests need one."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json")
    async def schema() -> Response:
        return JSONResponse(await asyncio.to_thread(_schema, app, token))

    @routes.get("/docs")
    async def index() -> Response:
        return Response(_REFERENCE, media_type="text/html", headers=_CACHE)

    @routes.get("/docs/{name}")
    async def part(request: Request, name: str) -> Response:
        if name == "start.js":
            return Response(_START, media_type="text/javascript", headers=_CACHE)
        if name not in _SWAGGER:
            raise ProblemError(404, f"the reference has no file '{name[:100]}'")
        from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]  # noqa: PLC0415

        return _file(request, Path(swagger_ui_path) / name)

    return routes


def _file(request: Request, path: Path) -> Response:
    """The file, or that the browser has it already."""
    media = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    answer = FileResponse(path, media_type=media, headers=_CACHE, stat_result=path.stat())
    tag = answer.headers["etag"]
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={**_CACHE, "ETag": tag})
    return answer


def _schema(app: FastAPI, token: bool) -> dict[str, Any]:
    """The description in OpenAPI 3.0, which Swagger UI 4 reads: where 3.1 has a type `null`, 3.0 has `nullable`."""
    found = _older(app.openapi())
    assert isinstance(found, dict)
    if token:
        scheme = {"bearer": {"type": "http", "scheme": "bearer"}}
        found["components"] = {**found.get("components", {}), "securitySchemes": scheme}
        found["security"] = [{"bearer": []}]
    return found


def _older(value: Any) -> Any:
    if isinstance(value, list):
        return [_older(item) for item in value]
    if not isinstance(value, dict):
        return value
    options = value.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        others = {key: item for key, item in value.items() if key != "anyOf"}
        value = {**others, **(rest[0] if len(rest) == 1 else {"anyOf": rest}), "nullable": True}
    return {key: _older(item) for key, item in value.items()}
