"""What the tests of docs/serving.md share: its blocks, and a server of models with the names that it uses."""

from __future__ import annotations

import os
import re
import runpy
import socket
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
Command = runpy.run_path(str(HERE / "command.py"))["Command"]
models = runpy.run_path(str(HERE.parent / "runtime/models.py"))

PAGE = (HERE.parents[1] / "docs/serving.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:8000"
TOKEN = "5e" * 32
PIXELS = np.random.default_rng(0).integers(0, 256, (13, 21, 3), np.uint8)


def blocks(language: str, word: str) -> list[str]:
    """The blocks of the page in a language that hold a word."""
    return [block for block in re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S) if word in block]


def block(language: str, word: str) -> str:
    """The one block of the page in a language that holds a word."""
    (found,) = blocks(language, word)
    return found


def prepare(folder: Path) -> None:
    """Puts there what the commands name: images, a token."""
    Image.fromarray(PIXELS).save(folder / "input.png")
    (folder / "input").mkdir()
    for number in range(12):
        Image.fromarray(PIXELS[: number + 1]).save(folder / "input" / f"{number:02}.png")
    (folder / "token").write_text(f"{TOKEN}\n")


def served(folder: Path, *words: str, env: dict[str, str] | None = None) -> Any:
    """A server of an image and a noise model."""
    noise = models["build_noise"](folder / "n.onnx", classes=tuple("0123456789"), size=8)
    image = models["build"](folder / "m.onnx")
    return Command(folder, f"pix2pix-001={image}", f"cgan-001={noise}", *words, env=env)


def run(command: list[str], folder: Path, **env: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
