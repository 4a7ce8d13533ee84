"""Real servers in threads of this process, over tiny models, and clients of them."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import httpx
import numpy as np
import pytest
from PIL import Image

from i2i.serving.engine import Engine
from i2i.serving.limits import Limits
from i2i.serving.logs import LOGGER
from i2i.serving.models import open_models
from i2i.serving.observing import Metrics
from i2i.serving.server import Server, listen
from i2i.serving.settings import Settings

CLASSES = ("cat", "dog", "bird")


class Serving(Protocol):
    def __call__(self, limits: Limits | None = None, **settings: Any) -> AbstractContextManager[httpx.Client]: ...


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory, models: Any) -> list[str]:
    """A run that inverts and has two samples, one that doubles, and one that makes images of three classes."""
    folder = tmp_path_factory.mktemp("models")
    run = folder / "inverter"
    (run / "examples").mkdir(parents=True)
    models.build(run / "model.onnx")
    for number, grey in enumerate((0, 200)):
        Image.new("RGB", (6, 4), (grey, grey, grey)).save(run / "examples" / f"{number}.png")
    models.build_noise(folder / "faces.onnx", classes=CLASSES)
    return [str(run), str(folder / "faces.onnx")]


@pytest.fixture(scope="session")
def serving(given: list[str]) -> Serving:
    """`with serving(limits, token=...) as client:` a server with these settings."""

    @contextmanager
    def start(limits: Limits | None = None, **settings: Any) -> Iterator[httpx.Client]:
        chosen = Settings(**{"port": 0, **settings})
        metrics = Metrics()
        engine = Engine(open_models(given, "cpu"), limits or Limits(seconds=20), metrics)
        ready = threading.Event()
        server = Server(engine, chosen, metrics, ready.set)
        sockets = listen("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, args=(sockets,))
        thread.start()
        try:
            assert ready.wait(20)
            with httpx.Client(base_url=f"http://127.0.0.1:{sockets[0].getsockname()[1]}", timeout=20) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)
            for each in sockets:
                each.close()
        assert not thread.is_alive()

    return start


@pytest.fixture(scope="session")
def client(serving: Serving) -> Iterator[httpx.Client]:
    """A client of a server with the settings that are the default."""
    logging.getLogger(LOGGER).setLevel(logging.INFO)
    with serving() as found:
        yield found


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A PNG of 6 x 4 pixels of noise."""
    return encoded(pixels())


def pixels(height: int = 4, width: int = 6, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(values: Any, form: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form)
    return buffer.getvalue()
