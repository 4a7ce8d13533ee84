"""Image-to-image translation: train a conditional GAN, get one ONNX file that is the whole translator."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from i2i.version import __version__

if TYPE_CHECKING:
    from i2i.api import export, import_checkpoint, load, load_generator, resume, train
    from i2i.evaluating import compare, evaluate

# Unless this is set before its import, onnxruntime tells its makers of every session, by a number it keeps on disk.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "__version__",
    "compare",
    "evaluate",
    "export",
    "import_checkpoint",
    "load",
    "load_generator",
    "resume",
    "train",
]


def __getattr__(name: str) -> object:
    """Finds the functions on first use, so that `import i2i` costs nothing."""
    if name in __all__:
        return getattr(import_module("i2i.evaluating" if name in ("compare", "evaluate") else "i2i.api"), name)
    raise AttributeError(f"module 'i2i' has no attribute {name!r}")
