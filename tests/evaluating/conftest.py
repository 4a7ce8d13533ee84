from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., np.ndarray]


@pytest.fixture
def inverting(tmp_path: Path, models: ModuleType) -> Path:
    """A model that gives 255 - x, trained at 16 pixels, for sides that are multiples of 4."""
    path: Path = models.build(tmp_path / "inverting.onnx", trained_size=16, multiple=4)
    return path


@pytest.fixture
def noisy(tmp_path: Path) -> Callable[..., Path]:
    """`noisy(6)`: a folder with A and B, 6 inputs and what `inverting` makes of each, the farther off the later."""

    def make(count: int, side: int = 16, place: str = "data", first: int = 0) -> Path:
        folder = tmp_path / place
        for number in range(first, first + count):
            rng = np.random.default_rng(number)
            image = rng.integers(60, 195, (side, side, 3), np.uint8)
            off = rng.integers(-4 * number, 4 * number, image.shape, endpoint=True)
            save(folder / "A" / f"{number}.png", image)
            save(folder / "B" / f"{number}.png", np.clip(255 - image.astype(int) + off, 0, 255))
        return folder

    return make


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8).squeeze()).save(path)
