"""Tiny models, and models whose runs a test holds up."""

import importlib.util
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image, ImageOps

from i2i.serving.models import Served


@pytest.fixture(scope="session")
def models() -> ModuleType:
    """The builders of tiny artifacts of the runtime's tests."""
    file = Path(__file__).parents[1] / "runtime" / "models.py"
    spec = importlib.util.spec_from_file_location("i2i_test_models", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Gated:
    """Stands for a translator that inverts, `most` images at once, and whose runs wait at a gate while it is shut."""

    device = "cuda:0"  # on which one run goes on at a time

    def __init__(self, description: Any, most: int) -> None:
        self.description = description
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.runs: list[list[tuple[int, int]]] = []
        self.broken: Callable[[Image.Image], BaseException | None] = lambda image: None
        self._most = most

    def batch(self, height: int, width: int) -> int:
        return self._most

    def pictures(self, images: Sequence[Image.Image], *, flatten: bool = False) -> list[Image.Image]:
        self.runs.append([image.size for image in images])
        self.begun.release()
        assert self.gate.wait(20)
        for image in images:
            if error := self.broken(image):
                raise error
        return [ImageOps.invert(image) for image in images]


@pytest.fixture
def gated(models: Any) -> Callable[..., Served]:
    """`gated(name, most)` is a served model whose runner is a `Gated`."""

    def make(name: str = "m", most: int = 1) -> Served:
        description = models.describe()
        return Served(name, Path("m.onnx"), description, Gated(description, most))  # type: ignore[arg-type]

    return make
