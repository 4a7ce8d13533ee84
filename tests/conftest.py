"""Small real data and small real runs, shared by the tests of training, export and the commands."""

import importlib.util
import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # processes that each take all cores are in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw


def draw_pair(number):
    """A white sheet with an outlined box, and the same box filled with a colour that depends on its place."""
    rng = np.random.default_rng(number)
    left, top = (int(v) for v in rng.integers(2, 20, 2))
    box = (left, top, left + 14, top + 14)
    colour = (10 * left, 10 * top, 120)
    outline, filled = Image.new("RGB", (40, 40), "white"), Image.new("RGB", (40, 40), "white")
    ImageDraw.Draw(outline).rectangle(box, outline="black", width=2)
    ImageDraw.Draw(filled).rectangle(box, outline="black", fill=colour, width=2)
    return outline, filled


def loaded(name):
    """A module beside the tests that is none of them."""
    file = Path(__file__).parent / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"i2i_test_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """A scratch environment to install distributions in; whoever installs one removes it."""
    pytest.importorskip("pip", reason="installs plugins by pip")
    return loaded("environment").Environment(tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="session")
def models():
    """The builders of tiny artifacts in runtime/models.py."""
    return loaded("runtime/models")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A folder with A/ and B/, 24 pairs of 40 x 40."""
    folder = tmp_path_factory.mktemp("pairs")
    for side in "AB":
        (folder / side).mkdir()
    for number in range(24):
        for side, image in zip("AB", draw_pair(number), strict=True):
            image.save(folder / side / f"{number:02d}.png")
    return folder


@pytest.fixture
def small(pairs):
    """Settings of a run that takes seconds."""
    return {
        "device": "cpu",
        "data": {"source": str(pairs), "size": 32},
        "game": {"filters": 4, "discriminator_filters": 4, "discriminator_layers": 2},
        "trainer": {"steps": 6, "batch": 2, "validate_every": 3, "log_every": 1},
    }


@pytest.fixture(scope="session")
def finished(pairs, tmp_path_factory):
    """A finished run, not to be changed."""
    from i2i import api

    out = tmp_path_factory.mktemp("runs") / "pix2pix-001"
    settings = {
        "device": "cpu",
        "data": {"source": str(pairs), "size": 32},
        "game": {"filters": 8, "discriminator_filters": 8, "statistics": "image"},
        "trainer": {"steps": 12, "batch": 4, "validate_every": 4, "log_every": 2},
    }
    return api.train("pix2pix", settings, out=out)


@pytest.fixture
def tell(tmp_path: Path) -> Any:
    """`tell({"proc/meminfo": "..."})` writes files below tmp_path, which stands for the root of a system."""

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)

    return write
