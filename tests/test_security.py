"""What docs/security.md promises: by looking through the source where no behaviour could show it."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from PIL import ImageFile
from safetensors.numpy import load_file

from i2i import pillow
from i2i.config import layers, read_yaml
from i2i.errors import ConfigError

ROOT = Path(__file__).parents[1]
LEAST = {"torch": (2, 10), "onnx": (1, 21), "pillow": (12, 2)}  # without the holes that docs/security.md names
UNPICKLING = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NETWORK = {
    *("socket", "ssl", "http", "urllib.request", "ftplib", "smtplib", "telnetlib", "xmlrpc", "socketserver"),
    *("requests", "httpx", "aiohttp", "urllib3", "boto3", "fsspec", "huggingface_hub", "torchvision.datasets"),
}
# Of weights that were made elsewhere.
LOADERS = {"i2i/foreign/reading.py", "i2i/metrics/lpips.py", "i2i/metrics/weights.py", "i2i/nn/features.py"}
# Processes of one training meet on this machine, its report is shown there, and to serve is what a server is for.
NETWORKED = {"i2i/training/launch.py", "i2i/report/watch.py"}
SERVING = "i2i/serving/"


@cache
def sources() -> dict[str, list[ast.AST]]:
    """Every node of the syntax of every file."""
    files = [path for folder in ("i2i", "plugins", "export") for path in sorted((ROOT / folder).rglob("*.py"))]
    return {
        path.relative_to(ROOT).as_posix(): list(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in files
    }


@cache
def every_call() -> list[tuple[str, str, ast.Call]]:
    """Each call with its file, and what is called as it is written: `torch.load`."""
    found = [(name, node) for name, nodes in sources().items() for node in nodes if isinstance(node, ast.Call)]
    return [(name, ast.unparse(node.func), node) for name, node in found]


def calls(pattern: str) -> list[tuple[str, ast.Call]]:
    return [(name, node) for name, called, node in every_call() if re.fullmatch(pattern, called)]


def keyword(node: ast.Call, name: str) -> object:
    value = next((each.value for each in node.keywords if each.arg == name), None)
    return value.value if isinstance(value, ast.Constant) else None


def imports() -> Iterator[tuple[str, str]]:
    """Every module that is imported anywhere, by the file that imports it."""
    for name, nodes in sources().items():
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from ((name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((name, f"{node.module}.{alias.name}") for alias in node.names)


def importing(modules: set[str]) -> set[str]:
    return {name for name, module in imports() if any(f"{module}.".startswith(f"{each}.") for each in modules)}


def test_the_source_is_looked_through_at_all() -> None:
    assert len(sources()) > 150
    assert calls(r"torch\.load")
    assert "i2i/foreign/reading.py" in importing({"pickle"})


def test_no_text_is_run_as_code() -> None:
    assert not calls(r"(builtins\.)?(eval|exec|compile|__import__)|os\.(system|popen)|runpy\..*|code\..*")
    assert not [name for name, node in calls(r"subprocess\..*") if keyword(node, "shell")]


def test_nothing_is_unpickled_but_weights_and_these_as_weights_alone() -> None:
    assert importing(UNPICKLING) == {"i2i/foreign/reading.py"}
    nodes = sources()["i2i/foreign/reading.py"]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"}
    assert used == {"UnpicklingError"}  # no function of it
    loads = calls(r"torch\.load")
    assert {name for name, _ in loads} == LOADERS
    assert all(keyword(node, "weights_only") is True for _, node in loads)
    # For a library that takes a file: in memory, and of what was read as weights alone.
    assert {name for name, _ in calls(r"torch\.save")} <= {"i2i/metrics/inception.py"}
    assert not calls(r"torch\.(jit\.load|export\.load|package\..*|hub\.load.*)|.*\.(read_pickle|add_safe_globals)")
    assert not [name for name, node in calls(r"(np|numpy)\.load") if keyword(node, "allow_pickle")]


def test_yaml_is_read_by_a_safe_loader() -> None:
    loads = calls(r"yaml\.(?!safe_load$).*load.*")
    assert {name for name, _ in loads} == {"i2i/config/layers.py"}
    assert {ast.unparse(node) for _, node in loads} <= {
        f"yaml.load({text}, _UniqueKeyLoader)" for text in ("text", "value", "path.read_text(encoding='utf-8')")
    }
    assert issubclass(layers._UniqueKeyLoader, yaml.SafeLoader)
    assert not layers._UniqueKeyLoader.yaml_multi_constructors.keys() - yaml.SafeLoader.yaml_multi_constructors.keys()


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.system ['touch ran']",
        "seed: !!python/object/new:os.system ['touch ran']",
        "seed: !!python/name:os.system",
        "!!python/module:os",
    ],
)
def test_yaml_makes_no_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml(tmp_path / "config.yaml")
    assert not (tmp_path / "ran").exists()


def test_a_run_keeps_weights_as_safetensors_and_all_else_as_text(finished) -> None:
    files = [path for path in finished.checkpoints.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    assert all(load_file(path) for path in files if path.suffix == ".safetensors")
    assert all(json.loads(path.read_text()) for path in files if path.suffix == ".json")
    first = {path: path.read_bytes()[:4] for path in finished.path.rglob("*") if path.is_file()}
    assert not [path for path, begin in first.items() if begin[:2] == b"\x80\x04" or begin == b"PK\x03\x04"]


def test_only_images_of_the_listed_formats_are_opened() -> None:
    opens = calls(r"(PIL\.)?Image\.open")
    assert {name for name, _ in opens} == {"i2i/pillow.py"}
    assert all(ast.unparse(next(each.value for each in node.keywords)) == "FORMATS" for _, node in opens)
    assert set(pillow.FORMATS) == {"PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"}


def test_truncated_images_are_never_filled_up() -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    every = (node for nodes in sources().values() for node in nodes if isinstance(node, ast.Attribute))
    assert "LOAD_TRUNCATED_IMAGES" not in {node.attr for node in every}


def test_no_code_reaches_out_for_the_network() -> None:
    assert {name for name in importing(NETWORK) if not name.startswith(SERVING)} <= NETWORKED
    calling = {"urllib.request", "http.client", "httpx", "requests", "aiohttp", "urllib3"}
    assert not importing(calling)  # not even the server asks another one
    for name, nodes in sources().items():
        if name in ("i2i/serving/settings.py", "i2i/serving/server.py"):  # where these are what a token is asked for
            continue
        texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
        assert not {"0.0.0.0", "::"} & {text for text in texts if isinstance(text, str)}, name


def test_looking_at_data_and_translating_connect_to_nothing(finished, tmp_path: Path) -> None:
    code = """
import sys
from i2i.cli import cli

def watch(event, arguments):
    assert not event.startswith("socket."), (event, arguments)
    assert event not in ("urllib.Request", "http.client.connect"), (event, arguments)

sys.addaudithook(watch)
folder, model, output = sys.argv[1:]
cli.main(["data", "check", folder, "--kind", "images"], standalone_mode=False)
cli.main(["translate", folder, "-m", model, "-o", output], standalone_mode=False)
"""
    words = [sys.executable, "-c", code, finished.examples, finished.path, tmp_path / "out"]
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert list((tmp_path / "out").glob("*.png"))


def test_onnxruntime_does_not_tell_its_makers(finished, tmp_path: Path) -> None:
    """It would look their server up, and keep a number of the machine and its messages below the home folder."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    example = min(finished.examples.iterdir())
    words = [sys.executable, "-m", "i2i", "translate", example, "-m", finished.path, "-o", tmp_path / "out.png"]
    subprocess.run(list(map(str, words)), env={**known, "HOME": str(tmp_path / "home")}, check=True)
    assert (tmp_path / "out.png").is_file()
    assert not [path for path in (tmp_path / "home").rglob("*") if "microsoft" in str(path).lower()]
    code = "import i2i, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    subprocess.run([sys.executable, "-c", code], env=known, check=True)


@pytest.mark.parametrize("package", LEAST)
def test_releases_with_known_holes_are_not_accepted(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    floors = [match[1] for each in wanted if (match := re.fullmatch(rf"{package}>=([0-9.]+).*", each))]
    assert floors
    assert all(tuple(map(int, floor.split("."))) >= LEAST[package] for floor in floors)


def test_each_promise_names_a_test_that_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page)
    assert len(named) > 15
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{test}"
    promises = page.partition("\n## ")[0].splitlines()
    rows = [line for line in promises if line.startswith("| ") and "promise" not in line]
    assert len(rows) > 10
    assert all("::test_" in row for row in rows)
