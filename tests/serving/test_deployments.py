"""The commands, programs and files of docs/serving.md work, in front of and beside a real server."""

from __future__ import annotations

import configparser
import importlib.util
import json
import re
import runpy
import shlex
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
import pytest
import yaml
from PIL import Image

from i2i.cli import cli

SHARED = runpy.run_path(str(Path(__file__).with_name("deployed.py")))
ADDRESS, PIXELS, block, blocks, pixels, run, served = (
    SHARED[name] for name in ("ADDRESS", "PIXELS", "block", "blocks", "pixels", "run", "served")
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SHARED["prepare"](tmp_path)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Any]:
    with served(folder) as started:
        yield started


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


def shell(text: str, folder: Path, server: Any) -> str:
    """Runs a block of the page with our port in the place of the usual one."""
    return run(["sh", "-e", "-c", text.replace(ADDRESS, f"{server.host}:{server.port}")], folder)


@needs_curl
def test_curl(server: Any, folder: Path) -> None:
    for text in blocks("sh", "curl"):
        if "systemctl" not in text and "token" not in text:
            shell(text, folder, server)
    assert np.array_equal(pixels(folder / "output.png"), 255 - PIXELS)
    with Image.open(folder / "output.webp") as image:
        assert (image.format, image.size) == ("WEBP", (21, 13))
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width * sheet.height >= 16 * 8 * 8
    with zipfile.ZipFile(folder / "sixteen.zip") as archive:
        assert len(archive.namelist()) == 16


@needs_curl
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_curl_with_a_token(folder: Path) -> None:
    run(["sh", "-e", "-c", block("sh", "openssl")], folder)
    token = folder / "token"
    assert (len(token.read_text().strip()), token.stat().st_mode & 0o777) == (64, 0o600)
    with served(folder, "--token-file", "token") as server:
        assert server.get("/v1/models") == 401
        shell(block("sh", "Authorization"), folder, server)
    assert np.array_equal(pixels(folder / "output.png"), 255 - PIXELS)


@pytest.mark.parametrize("word", ["urllib", "httpx", "tritonclient"])
def test_python(server: Any, folder: Path, word: str) -> None:
    if importlib.util.find_spec(word) is None:
        pytest.skip(f"needs {word}")
    program = block("python", f"import {word}" if word != "urllib" else "from urllib")
    (folder / "program.py").write_text(program.replace(ADDRESS, f"{server.host}:{server.port}"))
    run([sys.executable, "program.py"], folder)
    if word == "httpx":
        assert len(list((folder / "output").iterdir())) == 12
        assert np.array_equal(pixels(folder / "output" / "05.png"), 255 - PIXELS[:6])
    else:
        assert np.array_equal(pixels(folder / "output.png"), 255 - PIXELS)


def test_prometheus(server: Any) -> None:
    (job,) = yaml.safe_load(block("yaml", "scrape_configs"))["scrape_configs"]
    assert job["static_configs"] == [{"targets": [ADDRESS]}]
    assert job["authorization"]["credentials_file"].startswith("/etc/")
    assert "metrics_path" not in job  # which is /metrics, then
    assert server.get("/metrics") == 200


def test_every_figure_is_there(server: Any, folder: Path) -> None:
    name = {"model": "pix2pix-001"}
    httpx.post(f"{server.url}/v1/translate", params=name, content=(folder / "input.png").read_bytes())
    shown = set(re.findall(r"`(i2i_\w+)`", SHARED["PAGE"]))
    figures = httpx.get(f"{server.url}/metrics").text
    there = set(re.findall(r"^# HELP (i2i_\w+)", figures, re.M))
    assert shown
    assert shown <= there


@needs_systemd
def test_systemd(folder: Path) -> None:
    unit = block("ini", "ExecStart")
    i2i = Path(sys.executable).with_name("i2i")
    (folder / "i2i@.service").write_text(unit.replace("/opt/i2i/bin/i2i", str(i2i)))
    places = {"SYSTEMD_UNIT_PATH": f"{folder}:"}
    run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "i2i@8001.service"], folder, **places)
    strict = ["--offline=yes", "--threshold=20", "--no-pager"]  # tenths: 1.5 and less is the best grade but one
    run(["systemd-analyze", "security", *strict, str(folder / "i2i@.service")], folder, **places)


def arguments(words: list[str]) -> dict[str, Any]:
    """What `i2i serve` understands of the words of a command."""
    assert words[:2] == ["i2i", "serve"]
    _, command, rest = cli.resolve_command(click.Context(cli), words[1:])
    assert command is not None
    return dict(command.make_context("serve", rest, resilient_parsing=True).params)


def test_nothing_is_written(folder: Path) -> None:
    places = folder / "home", folder / "cache", folder / "tmp"
    for place in places:
        place.mkdir()
    env = dict(zip(("HOME", "XDG_CACHE_HOME", "TMPDIR"), map(str, places), strict=True))
    with served(folder, env=env) as server:
        before = set(folder.rglob("*"))
        large = np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8)
        Image.fromarray(large).save(folder / "input.png")
        image = {"image": (folder / "input.png").read_bytes()}
        answer = httpx.post(f"{server.url}/v1/translate", files=image, data={"model": "pix2pix-001"}, timeout=60)
        assert answer.status_code == 200
    assert set(folder.rglob("*")) == before
    assert not any(list(place.iterdir()) for place in places)


def test_each_promise_names_a_test() -> None:
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", SHARED["PAGE"])
    assert len(named) >= 9
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


def test_the_unit_starts_the_command() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    text = re.sub(r" \\\n +", " ", block("ini", "ExecStart"))
    unit.read_string(text)
    service = unit["Service"]
    words = shlex.split(service["ExecStart"].replace("%i", "8001").replace("%d", "/run/credentials/i2i"))
    understood = arguments(["i2i", *words[1:]])
    assert understood["port"] == 8001
    assert f"token:{'/etc/i2i/token'}" == service["LoadCredential"]
    assert words[words.index("--token-file") + 1] == "/run/credentials/i2i/token"


def containerfile() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n *", "", block("dockerfile", "FROM"))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_the_container_file(server: Any, folder: Path) -> None:
    lines = containerfile()
    known = {"FROM", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert {word for word, _ in lines} <= known
    last = dict(lines)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    understood = arguments(json.loads(last["CMD"]))
    assert str(understood["port"]) == last["EXPOSE"]
    assert understood["host"] == "0.0.0.0"
    model = next(rest for word, rest in lines if word == "COPY" and "model.onnx" in rest).split()[-1]
    assert model in json.loads(last["CMD"])
    health = json.loads(last["HEALTHCHECK"].partition("CMD ")[2])
    assert health[0] == "python"
    program = health[2].replace(ADDRESS, f"{server.host}:{server.port}")
    run([sys.executable, "-c", program], folder)
    assert server.stop() == 0
    with pytest.raises(AssertionError):
        run([sys.executable, "-c", program], folder)


def test_the_container_installs_what_it_starts(folder: Path) -> None:
    pytest.importorskip("pip")
    (command,) = [rest for word, rest in containerfile() if word == "RUN"]
    words = shlex.split(command)
    assert words[:2] == ["pip", "install"]
    assert words[-1] == "/source[serve]"
    prefix = folder / "installed"
    words = [{"/installed": str(prefix), "/source[serve]": f"{ROOT}[serve]"}.get(word, word) for word in words]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--ignore-installed"]
    run([sys.executable, "-m", *words, *offline], folder)
    assert (prefix / "bin/i2i").is_file()
    assert list(prefix.glob("lib/python*/site-packages/i2i/serving/page/index.html"))


@pytest.mark.skipif(shutil.which("docker") is None, reason="needs docker")
def test_docker_knows_the_options() -> None:
    text = re.sub(r"\\\n *", "", block("sh", "docker run"))
    for line in text.splitlines():
        _, command, *rest = shlex.split(line)
        known = run(["docker", command, "--help"], ROOT)
        for word in rest:
            assert not word.startswith("--") or word in known, word


def test_ray_serve(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.serve", reason="needs ray[serve]")
    (folder / "translate.py").write_text(block("python", "from ray"))
    port = SHARED["free_port"]()
    (folder / "try.py").write_text(
        "import sys, translate, httpx\nfrom ray import serve\n"
        f"serve.start(http_options={{'port': {port}}})\nserve.run(translate.app)\n"
        f"ask = lambda data: httpx.post('http://127.0.0.1:{port}/', content=data, timeout=60)\n"
        "good, bad = ask(open('input.png', 'rb').read()), ask(b'text')\n"
        "open('output.png', 'wb').write(good.content)\nserve.shutdown()\n"
        "sys.exit((good.status_code, bad.status_code) != (200, 415))\n"
    )
    model = SHARED["models"]["build"](folder / "m.onnx")
    run([sys.executable, "try.py"], folder, MODEL=str(model), RAY_USAGE_STATS_ENABLED="0", HOME=str(tmp_path))
    assert np.array_equal(pixels(folder / "output.png"), 255 - PIXELS)
