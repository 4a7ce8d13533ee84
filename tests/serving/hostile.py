"""What the tests of hostile clients share: a server, a good request to it, and that it was not harmed."""

from __future__ import annotations

import io
import json
import runpy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

HERE = Path(__file__).parent
Command = runpy.run_path(str(HERE / "command.py"))["Command"]
models = runpy.run_path(str(HERE.parent / "runtime/models.py"))

COMPUTING = ("/v1/translate", "/v1/generate", "/v2/models/m/infer")
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


def encoded(*pages: Image.Image, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    pages[0].save(file, form, **({"save_all": True, "append_images": pages[1:]} if pages[1:] else {}))
    return file.getvalue()


GOOD = encoded(Image.fromarray(PIXELS))


@contextmanager
def serving(folder: Path, *words: str | int) -> Iterator[Any]:
    """Serves `m`, which gives the negative of an image, and `n`, which makes images of two classes from noise."""
    model, noise = models["build"](folder / "m.onnx"), models["build_noise"](folder / "n.onnx", classes=("0", "1"))
    with Command(folder, model, noise, *words, "--log-format", "json") as started:
        yield started


# One for all, which opens a connection for each request: a certificate store each time would take longer than the rest.
CLIENT = httpx.Client(timeout=60, verify=False, limits=httpx.Limits(max_keepalive_connections=0))


def post(server: Any, path: str, **what: Any) -> httpx.Response:
    return CLIENT.post(server.url + path, **what)


def answers(server: Any) -> None:
    """It translates an image, if need be as soon as it is no longer busy with those that a test has sent."""
    while True:
        answer = post(server, "/v1/translate?model=m", content=GOOD, headers={"Content-Type": "image/png"})
        if answer.status_code != 429:
            break
        time.sleep(float(answer.headers["Retry-After"]))
    assert answer.status_code == 200, answer.text
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), 255 - PIXELS)


@contextmanager
def unharmed(server: Any) -> Iterator[None]:
    """After whatever is done meanwhile, the server answers a good request, and has failed at nothing."""
    begun = len(server.said)
    yield
    answers(server)
    said = server.said[begun:]
    assert "Traceback" not in said
    for line in said.splitlines():
        assert line.startswith("{"), line
        assert json.loads(line).get("status", 0) < 500, line
