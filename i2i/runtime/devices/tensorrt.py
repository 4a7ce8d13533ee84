"""TensorRT: its libraries found among pip's packages, and the folder in which a model's engines are kept."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from contextlib import suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

_NAMES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")  # each needs the ones before it


def load_libraries() -> int | None:
    """Loads what pip's tensorrt-cu*-libs brought, where there is one, so that onnxruntime finds it loaded.

    Returns the version of TensorRT that is loaded then, like 101303 for 10.13.3; None where there is none.
    """
    package = find_spec("tensorrt_libs")
    folders = [Path(place) for place in (package.submodule_search_locations or [])] if package else []
    found = None
    for name in _NAMES:
        pattern = f"{name}_*.dll" if sys.platform == "win32" else f"lib{name}.so.*"
        # nvinfer_*.dll is the name of its companions too: the shortest is meant.
        files = sorted((file for folder in folders for file in folder.glob(pattern)), key=lambda file: len(file.name))
        with suppress(OSError):
            library = ctypes.CDLL(str(files[0]) if files else f"lib{name}.so", mode=ctypes.RTLD_GLOBAL)
            found = library.getInferLibVersion() if name == "nvinfer" else found
    return found


def engine_folder(model: Path, graph: bytes, *fits: str) -> Path | None:
    """Where the engines of a graph of `model` are kept: beside it, or else in the user's cache folder; None: nowhere.

    fits: what an engine fits beside its graph, alone: shape, GPU, versions of onnxruntime and of TensorRT.
    """
    key = "-".join([sha256(graph).hexdigest()[:16], *(re.sub(r"[^\w.]+", "_", fact) for fact in fits)])
    for home in (model.parent / f"{model.stem}.tensorrt", _user_cache()):
        if home is not None:
            with suppress(OSError):
                folder = home / key
                folder.mkdir(parents=True, exist_ok=True)
                if os.access(folder, os.W_OK):
                    return folder
    return None


def _user_cache() -> Path | None:
    """I2I_CACHE, or i2i in XDG_CACHE_HOME or ~/.cache."""
    if folder := os.environ.get("I2I_CACHE"):
        return Path(folder).expanduser() / "tensorrt"
    with suppress(RuntimeError):  # a user without a home, as in many containers
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(home) / "i2i" / "tensorrt"
    return None
