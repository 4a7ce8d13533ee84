"""The programs of docs/deploying.md give what i2i gives."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from i2i.runtime.translator import Translator

PAGE = (Path(__file__).parents[2] / "docs/deploying.md").read_text(encoding="utf-8")
SIZES = [(21, 13), (40, 16), (3, 50), (1, 1)]
HEADERS = os.environ.get("I2I_ONNXRUNTIME_INCLUDE")
NODE_MODULES = os.environ.get("I2I_NODE_MODULES")


def program(language: str) -> str:
    """The one program of the page in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def shown(beginning: str) -> list[str]:
    """The words of the one command on the page that begins so."""
    (found,) = re.findall(rf"^    ({re.escape(beginning)} .*)$", PAGE, re.MULTILINE)
    return shlex.split(found)


def picture(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


def run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def check(command: list[str | Path], model: Path, given: Path, made: Path, *, tolerance: int = 0) -> None:
    """Runs a program on an image, and compares what it writes with what a Translator makes of the same image."""
    made.unlink(missing_ok=True)
    done = run([*command, model, given, made])
    assert done.returncode == 0, done.stderr
    with Image.open(given) as image, Image.open(made) as result:
        wanted = Translator.load(model, "cpu")(image)
        assert (result.mode, result.size) == (wanted.mode, wanted.size)
        difference = np.asarray(result).astype(int) - np.asarray(wanted)
        assert np.abs(difference).max() <= tolerance


@pytest.fixture
def exact(tmp_path: Path, models: Any) -> Path:
    """A model of whole numbers, whose result shows padding and cutting at the wrong side."""
    path: Path = models.build(tmp_path / "exact.onnx", multiple=8, minimum=24, scale=2, mirror=True)
    return path


@pytest.fixture
def foreign(tmp_path: Path, models: Any) -> Path:
    path: Path = models.save(tmp_path / "foreign.onnx", models.graph(models.describe()), {})
    return path


@pytest.fixture
def python(tmp_path: Path) -> list[str | Path]:
    (tmp_path / "translate.py").write_text(program("python"))
    return [sys.executable, tmp_path / "translate.py"]


def test_python(python: list[str | Path], exact: Path, finished: Any, tmp_path: Path) -> None:
    for size in SIZES:
        picture(size).save(tmp_path / "in.png")
        check(python, exact, tmp_path / "in.png", tmp_path / "out.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # Orientation: a quarter
    picture((45, 33)).save(tmp_path / "in.png", exif=turned)
    check(python, finished.model, tmp_path / "in.png", tmp_path / "out.png")


@pytest.mark.parametrize(("taken", "given", "mode"), [(1, 1, "L"), (3, 1, "L"), (1, 3, "RGB"), (4, 4, "RGBA")])
def test_python_with_other_channels(
    python: list[str | Path], models: Any, tmp_path: Path, taken: int, given: int, mode: str
) -> None:
    model = models.build(tmp_path / "m.onnx", channels_in=taken, channels_out=given, multiple=4)
    picture((21, 13), "RGBA" if taken == 4 else "RGB").save(tmp_path / "in.png")
    check(python, model, tmp_path / "in.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as made:
        assert made.mode == mode


needs_headers = pytest.mark.skipif(
    not (HEADERS and shutil.which("g++")),
    reason="needs g++, and I2I_ONNXRUNTIME_INCLUDE=the folder of onnxruntime's headers",
)
needs_node = pytest.mark.skipif(
    not (NODE_MODULES and shutil.which("node")),
    reason="needs node, and I2I_NODE_MODULES=a folder with onnxruntime-node, onnxruntime-web and pngjs",
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The program of C++, by the command that the page shows, without a warning."""
    assert HEADERS
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "translate.cpp").write_text(program("cpp"))
    lib = folder / "onnxruntime/lib"
    lib.mkdir(parents=True)
    (folder / "onnxruntime/include").symlink_to(HEADERS)
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (lib / name).symlink_to(library)
    command = [word.replace("ONNXRUNTIME", "onnxruntime") for word in shown("g++")]
    warnings = ["-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{lib}"]
    done = subprocess.run([*command, *warnings], cwd=folder, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [folder / "translate"]


@needs_headers
def test_cpp(compiled: list[str | Path], exact: Path, finished: Any, tmp_path: Path) -> None:
    for size in SIZES:
        picture(size).save(tmp_path / "in.ppm")
        check(compiled, exact, tmp_path / "in.ppm", tmp_path / "out.ppm")
    picture((45, 33)).save(tmp_path / "in.ppm")
    check(compiled, finished.model, tmp_path / "in.ppm", tmp_path / "out.ppm")


@needs_headers
def test_cpp_says_what_is_wrong(
    compiled: list[str | Path], exact: Path, foreign: Path, models: Any, tmp_path: Path
) -> None:
    grey = models.build(tmp_path / "grey.onnx", channels_in=1)
    good, short, text = (tmp_path / name for name in ("in.ppm", "short.ppm", "text.ppm"))
    picture((5, 5)).save(good)
    short.write_bytes(good.read_bytes()[:-1])
    text.write_text("text")
    for model, given, message in [
        (foreign, good, "the model does not say its channels_in"),
        (grey, good, "the model is not one for RGB"),
        (exact, short, "the input is cut off"),
        (exact, text, "the input is no PPM of 8 bits"),
        (exact, tmp_path / "gone.ppm", "the input is no PPM of 8 bits"),
    ]:
        done = run([*compiled, model, given, tmp_path / "out.ppm"])
        assert (done.returncode, done.stderr) == (1, f"error: {message}\n")


@pytest.fixture(params=["onnxruntime-node", "onnxruntime-web"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> list[str | Path]:
    """The program by either package, as the page says it may be exchanged."""
    assert NODE_MODULES
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    assert shown("npm install")[2:] == ["onnxruntime-node", "pngjs"]
    (tmp_path / "translate.mjs").write_text(program("js").replace("onnxruntime-node", request.param))
    return [*shown("node")[:1], tmp_path / "translate.mjs"]


@needs_node
def test_javascript(node: list[str | Path], exact: Path, finished: Any, tmp_path: Path) -> None:
    for size in SIZES:
        picture(size).save(tmp_path / "in.png")
        check(node, exact, tmp_path / "in.png", tmp_path / "out.png")
    picture((45, 33)).save(tmp_path / "in.png")
    web = "onnxruntime-web" in (tmp_path / "translate.mjs").read_text()
    check(node, finished.model, tmp_path / "in.png", tmp_path / "out.png", tolerance=int(web))
