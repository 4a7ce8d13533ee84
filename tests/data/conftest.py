from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.config import DataConfig
from i2i.data import Splits, open_splits
from i2i.plugin import Kind

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes an image of noise, seeded by its path, to a path below tmp_path."""

    def write(name: str, width: int = 24, height: int = 24, mode: str = "RGB") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(list(name.encode()))
        shape = (height, width, 3) if mode == "RGB" else (height, width)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode).save(path)
        return path

    return write


@pytest.fixture
def paired(save: Save, tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder of n pairs named 0, 1, ... in A and B."""

    def make(n: int) -> Path:
        for index in range(n):
            for side in "AB":
                save(f"{side}/{index}.png")
        return tmp_path

    return make


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Splits]:
    """Opens tmp_path at 16 pixels without resizing, unless told otherwise."""

    def do(kind: Kind = "paired", **settings: object) -> Splits:
        return open_splits(DataConfig.model_validate(small(tmp_path, **settings)), kind)

    return do


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., DataConfig]:
    def make(**settings: object) -> DataConfig:
        return DataConfig.model_validate(small(tmp_path, **settings))

    return make


def small(folder: Path, **settings: object) -> dict[str, object]:
    return {"source": str(folder), "size": 16, "fit": "none", "workers": 2, **settings}
