"""The API for images: `/v1/models`, `/v1/translate`, `/v1/generate`."""

from __future__ import annotations

import asyncio
import io
import mimetypes
import re
import zipfile
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import FileResponse

from i2i.images import QUALITY
from i2i.serving import accept, body, exchange, forms
from i2i.serving.errors import WrongKindError
from i2i.serving.problems import SCHEMA, ProblemError
from i2i.version import __version__

if TYPE_CHECKING:
    from i2i.serving.engine import Answer, Engine
    from i2i.serving.models import Served

_ORDER_BYTES: Final = 2**16  # of what /v1/generate is asked
_RAW: Final = {"schema": {"type": "string", "format": "binary"}}
_IMAGES: Final[dict[str, Any]] = dict.fromkeys(accept.FORMS, _RAW)
_QUALITY: Final[dict[str, Any]] = {"minimum": 1, "maximum": 100}  # as is said; the engine checks it
_FORM: Final[dict[str, Any]] = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string", "format": "binary"},
            "model": {"type": "string"},
            "quality": {"type": "integer", **_QUALITY},
            "flatten": {"type": "boolean"},
        },
    }
}


class Order(BaseModel):
    """What `/v1/generate` is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(None, description="may be left out where one model makes images from noise")
    seed: int = Field(0, description="the same seed, the same images")
    label: str | int | None = Field(None, description="their class, by name or number; none: all in turn")
    count: int = Field(1, description="how many images; several come as one sheet, or as a zip of files")
    first: int = Field(0, description="the number of the first of them")


def router(engine: Engine, uploads: body.Uploads) -> APIRouter:
    """The routes over an engine; uploads: the places of larger bodies, of which all routes have the same."""
    refused = {"description": "refused, and why", "content": {"application/problem+json": {"schema": SCHEMA}}}
    routes = APIRouter(prefix="/v1", tags=["images"], responses={"4XX": refused})

    @routes.get("/models", summary="The models, and what may be sent")
    async def models(request: Request) -> dict[str, Any]:
        limits = engine.limits
        return {
            "models": [_card(served, request) for served in engine.models.values()],
            "limits": {
                "bytes": limits.bytes, "pixels": limits.pixels, "seconds": limits.seconds, "images": limits.images,
            },
            "version": __version__,
        }  # fmt: skip

    @routes.get("/models/{name}", summary="One model")
    async def model(name: str, request: Request) -> dict[str, Any]:
        return _card(engine.served(name), request)

    @routes.get("/models/{name}/samples/{file}", summary="A sample to try a model on", name="sample",
                responses={200: {"content": _IMAGES}}, response_class=Response)  # fmt: skip
    async def sample(name: str, file: str) -> Response:
        found = next((path for path in engine.served(name).samples if path.name == file), None)
        if found is None or not await asyncio.to_thread(found.is_file):
            raise ProblemError(404, f"the model '{name}' has no sample '{file[:100]}'")
        media = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        return FileResponse(found, media_type=media, headers={"Cache-Control": "private, max-age=3600"})

    @routes.post("/translate", summary="Translate an image", response_class=Response,
                 responses={200: {"description": "the translated image", "content": _IMAGES}},
                 openapi_extra={"requestBody": {"required": True, "content": {
                     "application/octet-stream": _RAW, "image/*": _RAW, "multipart/form-data": _FORM}}})  # fmt: skip
    async def translate(
        request: Request,
        model: Annotated[str | None, Query(description="may be left out where one model takes images")] = None,
        quality: Annotated[int, Query(description="of JPEG and WebP", json_schema_extra=_QUALITY)] = QUALITY,
        flatten: Annotated[bool, Query(description="lay transparent colour on white")] = False,
    ) -> Response:
        media = accept.chosen(request.headers.get("accept"))
        told = exchange.of(request)
        deadline = told.started + engine.limits.seconds
        kind = request.headers.get("content-type", "")
        if kind.lower().startswith("multipart/form-data"):
            with uploads.place() as place:
                whole = await body.read(request, body.form_limit(engine.limits.bytes), place, deadline)
                form = await asyncio.to_thread(forms.parse, whole, kind)
            del whole
            data, called = form.file, form.filename
            model = form.fields.get("model") or model
            quality, flatten = _quality(form, quality), _flag(form, flatten)
        else:
            with uploads.place() as place:
                data, called = await body.read(request, engine.limits.bytes, place, deadline), ""
        name = _chosen(engine, model, "image")
        told.model = name
        work = engine.translate(
            name, data, form=accept.FORMS[media], quality=quality, flatten=flatten, deadline=deadline
        )
        answer = await body.unless_gone(request, work)
        return _image(request, name, answer, f"{PurePath(called).stem[:100]}.{name}" if called else name)

    @routes.post("/generate", summary="Make images from noise", response_class=Response,
                 responses={200: {"description": "an image, a sheet of several, or a zip",
                                  "content": {**_IMAGES, accept.ZIP: _RAW}}},
                 openapi_extra={"requestBody": {"required": True, "content": {
                     "application/json": {"schema": Order.model_json_schema()}}}})  # fmt: skip
    async def generate(request: Request) -> Response:
        media = accept.chosen(request.headers.get("accept"), (*accept.FORMS, accept.ZIP))
        told = exchange.of(request)
        deadline = told.started + engine.limits.seconds
        with uploads.place() as place:
            order = _order(await body.read(request, _ORDER_BYTES, place, deadline))
        name = _chosen(engine, order.model, "noise")
        told.model = name
        label = None if order.label is None else str(order.label)
        wanted: dict[str, Any] = {"seed": order.seed, "label": label, "count": order.count, "first": order.first}
        title = f"{name}-seed{order.seed}"
        if media != accept.ZIP:
            form = accept.FORMS[media]
            answer = await body.unless_gone(request, engine.generate(name, **wanted, form=form, deadline=deadline))
            return _image(request, name, answer, title)
        answers = await body.unless_gone(request, engine.images(name, **wanted, deadline=deadline))
        packed = await asyncio.to_thread(_zip, answers, title, order.first)
        _note(request, answers[0])
        return Response(packed, media_type=media, headers=_headers(name, answers[0], f"{title}.zip"))

    return routes


def _chosen(engine: Engine, name: str | None, kind: str) -> str:
    """The model of a request: the named one, or the only one of this kind."""
    if name is not None:
        return engine.served(name).name
    those = [served.name for served in engine.models.values() if served.description.kind == kind]
    if len(those) == 1:
        return those[0]
    does = "takes images" if kind == "image" else "makes images from noise"
    if not those:
        raise WrongKindError(f"no model here {does}", "GET /v1/models lists what there is.")
    raise ProblemError(422, f"more than one model here {does}", f"Say which `model`: {', '.join(those)}.")


def _card(served: Served, request: Request) -> dict[str, Any]:
    """What `/v1/models` says of a model; the samples' URLs are paths, below that of the server."""
    said, runner = served.description, served.runner
    name = quote(served.name, safe="")
    root = request.scope.get("root_path", "")
    return {
        "name": served.name,
        **said.model_dump(
            include={"kind", "plugin", "direction", "precision", "channels_in", "channels_out", "scale",
                     "trained_size", "size", "classes", "training", "digest"}
        ),
        "device": runner.device,
        "samples": [
            {"name": path.stem, "url": f"{root}/v1/models/{name}/samples/{quote(path.name, safe='')}"}
            for path in served.samples
        ],
    }  # fmt: skip


def _order(data: bytes) -> Order:
    try:
        return Order.model_validate_json(data or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        status = 400 if first["type"] == "json_invalid" else 422
        raise ProblemError(
            status, f"{place or 'the body'}: {first['msg'].lower()}"[:300],
            'Send JSON like {"seed": 7, "label": "3", "count": 4}.',
        ) from None  # fmt: skip


def _quality(form: forms.Form, otherwise: int) -> int:
    text = form.fields.get("quality") or str(otherwise)
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ProblemError(422, f"quality '{text[:40]}': not a number")
    return int(text)


def _flag(form: forms.Form, otherwise: bool) -> bool:
    text = (form.fields.get("flatten") or str(otherwise)).lower()
    if text not in ("true", "false", "1", "0"):
        raise ProblemError(422, f"flatten '{text[:40]}': neither true nor false")
    return text in ("true", "1")


def _image(request: Request, model: str, answer: Answer, title: str) -> Response:
    _note(request, answer)
    suffix = accept.FORMS[answer.media_type]
    return Response(answer.image, media_type=answer.media_type, headers=_headers(model, answer, title + suffix))


def _note(request: Request, answer: Answer) -> None:
    told = exchange.of(request)
    told.queued, told.computed = answer.queued, answer.computed


def _headers(model: str, answer: Answer, filename: str) -> dict[str, str]:
    """Names are in percent-encoding, in which they cannot end a header."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", filename)
    return {
        "Content-Disposition": f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}",
        "Server-Timing": f"queue;dur={answer.queued * 1e3:.1f}, compute;dur={answer.computed * 1e3:.1f}",
        "X-I2I-Model": quote(model, safe=" "),
        "Vary": "Accept",
    }


def _zip(answers: list[Answer], title: str, first: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # PNGs are compressed already
        for number, answer in enumerate(answers, first):
            archive.writestr(f"{re.sub('[^A-Za-z0-9._-]', '_', title)}-{number:05d}.png", answer.image)
    return buffer.getvalue()
