"""The Open Inference Protocol (KServe v2) over HTTP: for clients that know it, and nothing of i2i."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from i2i.artifact import INPUT, LABEL, NOISE, OUTPUT
from i2i.serving import body, exchange, wire
from i2i.serving.errors import LateError
from i2i.serving.inputs import extent
from i2i.serving.problems import PROTOCOL, ProblemError
from i2i.serving.wire import LENGTH, Inference, Tensor
from i2i.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from i2i.artifact import Description
    from i2i.serving.engine import Engine

    _T = TypeVar("_T")

_VERSION: Final = "1"  # a served model has one
_OBJECT: Final = {"content": {"application/json": {"schema": {"type": "object"}}}}
_REFUSED: Final[dict[str, Any]] = {
    "description": "refused, and why",
    "content": {
        "application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}},
    },
}


def router(engine: Engine, uploads: body.Uploads) -> APIRouter:
    """The routes over an engine; uploads: the places of larger bodies, of which all routes have the same."""
    routes = APIRouter(prefix=PROTOCOL, tags=["Open Inference Protocol"], responses={"4XX": _REFUSED})

    @routes.get("", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "i2i", "version": __version__, "extensions": ["binary_tensor_data"]}

    @routes.get("/health/live", summary="Whether the server runs")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @routes.get("/health/ready", summary="Whether it takes requests")
    async def ready(request: Request) -> Response:
        return _ready(engine.ready() and not request.app.state.stopping)

    @routes.get("/models/{model}/ready", summary="Whether a model takes requests")
    @routes.get("/models/{model}/versions/{version}/ready", summary="The same, of its one version")
    async def model_ready(request: Request, model: str, version: str = _VERSION) -> Response:
        _check(engine, model, version)
        return _ready(engine.ready() and not request.app.state.stopping, model)

    @routes.get("/models/{model}", summary="What a model takes and gives")
    @routes.get("/models/{model}/versions/{version}", summary="The same, of its one version")
    async def metadata(model: str, version: str = _VERSION) -> dict[str, Any]:
        said = _check(engine, model, version)
        inputs, output = signature(said)
        return {
            "name": model,
            "versions": [_VERSION],
            "platform": "onnxruntime_onnx",
            "inputs": [tensor.metadata() for tensor in inputs],
            "outputs": [output.metadata()],
        }

    @routes.post(
        "/models/{model}/infer", summary="Run a model", response_class=Response, openapi_extra={"requestBody": _OBJECT}
    )
    @routes.post("/models/{model}/versions/{version}/infer", summary="The same, its one version",
                 response_class=Response)  # fmt: skip
    async def infer(request: Request, model: str, version: str = _VERSION) -> Response:
        said = _check(engine, model, version)
        inputs, output = signature(said)
        told = exchange.of(request)
        told.model = model
        deadline = told.started + engine.limits.seconds
        with uploads.place() as place:  # kept until the answer is ready: what it holds is in memory until then
            data = await body.read(request, engine.limits.bytes, place, deadline)
            coding = request.headers.get("content-encoding", "")
            if coding:
                place.take()  # however small it is, it may become large
                data = await _aside(deadline, body.expand, data, coding, engine.limits.bytes)
            asked = await _aside(deadline, wire.parse, data, request.headers.get(LENGTH), inputs, output.name)
            del data
            _check_answer(said, asked)
            result = await body.unless_gone(request, engine.infer(model, asked.inputs, deadline))
            answer, length = await _aside(deadline, wire.answer, result, output.name, model, asked)
        if length is None:
            return Response(answer, media_type="application/json")
        return Response(answer, media_type="application/octet-stream", headers={LENGTH: str(length)})

    return routes


def signature(said: Description) -> tuple[tuple[Tensor, ...], Tensor]:
    """The tensors that a model takes, and the one that it gives."""
    if said.kind == "image":
        return (
            (Tensor(INPUT, "UINT8", (-1, -1, -1, said.channels_in)),),
            Tensor(OUTPUT, "UINT8", (-1, -1, -1, said.channels_out)),
        )
    noise = Tensor(NOISE, "FP32", (-1, said.noise))
    output = Tensor(OUTPUT, "UINT8", (-1, said.size, said.size, said.channels_out))
    return ((noise, Tensor(LABEL, "INT64", (-1,))) if said.classes else (noise,)), output


async def _aside(deadline: float, work: Callable[..., _T], *inputs: Any) -> _T:
    """What work gives on a thread; raises LateError after the deadline."""
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await asyncio.to_thread(work, *inputs)
    except TimeoutError:
        raise LateError("the tensors were not read and written in time", "Send less at once.") from None


def _check(engine: Engine, model: str, version: str) -> Description:
    """The model's description; raises UnknownModelError, and ProblemError (404) for another version."""
    said = engine.served(model).description
    if version != _VERSION:
        raise ProblemError(404, f"the model '{model}' has no version '{version[:40]}'", f"Its one is {_VERSION}.")
    return said


def _check_answer(said: Description, asked: Inference) -> None:
    """Raises TooLargeError where an answer would have more numbers than are written as JSON."""
    if not asked.binary and extent(said, asked.inputs)[1] * said.channels_out > wire.LISTED:
        raise wire.too_many("the answer")


def _ready(so: bool, model: str | None = None) -> Response:
    return JSONResponse({**({} if model is None else {"name": model}), "ready": so}, 200 if so else 503)
