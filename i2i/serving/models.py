"""The models that are served: found, named, opened side by side and warmed up."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from i2i.artifact import Description
from i2i.errors import ArtifactError, I2IError
from i2i.images import find
from i2i.noise import draw
from i2i.runtime.devices.device import usable_cores
from i2i.runtime.generator import Generator
from i2i.runtime.model.find import find_model, read_description
from i2i.runtime.translator import Translator
from i2i.training.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SAMPLES: Final = 12  # of a model


@dataclass(frozen=True)
class Served:
    """A model under its name.

    samples: images that it is known to take, of the run that it lies in. narrow: the same model for as many runs at
    once as it has `lanes`, with a core for each; where there is only one core, and on a GPU, None.
    """

    name: str
    path: Path
    description: Description
    runner: Translator | Generator
    samples: tuple[Path, ...] = ()
    narrow: Translator | None = None


@dataclass(frozen=True)
class _Found:
    path: Path
    description: Description


def open_models(given: Sequence[str], device: str = "auto") -> dict[str, Served]:
    """Opens models given as PATH or NAME=PATH, an .onnx file or a run, which is served in each of its directions.

    Without a name, a model is called like its run's folder or its file, those of further directions and precisions
    with these behind; of equal names the later ones are numbered. Raises I2IError for a name that is taken or cannot
    be one, and for a model that is not there or cannot be opened.
    """
    found: dict[str, _Found] = {}
    for text in given:
        name, path = _parted(text)
        for model in _models(path):
            said = read_description(model)
            if name:
                own = name if model == find_model(path) else f"{name}-{said.direction}"
                if own in found:
                    raise I2IError(f"{text}: '{own}' is the name of {found[own].path}", "Choose another name.")
            else:
                own = _numbered(_called(model), found)
            found[own] = _Found(model, said)
    if not found:
        raise I2IError("there is no model to serve", "Give a run or an .onnx file.")
    with ThreadPoolExecutor(len(found), thread_name_prefix="i2i-open") as pool:
        return dict(zip(found, pool.map(lambda name: _open(name, found[name], device), found), strict=True))


def _parted(text: str) -> tuple[str, Path]:
    """The name, if one is given, and the path."""
    name, equals, path = text.partition("=")
    if not equals or os.path.lexists(text):
        return "", Path(text)
    if not _NAME.fullmatch(name):
        raise I2IError(
            f"{text}: '{name}' cannot be a model's name",
            "Choose up to 64 letters, digits, dots, dashes and underscores, such as faces=model.onnx.",
        )
    return name, Path(path)


def _models(path: Path) -> list[Path]:
    """The file, or of a run's folder its model and those of other directions in the same precision."""
    first = find_model(path)
    if first == path or not (own := read_description(first).direction):
        return [first]
    others = []
    for other in sorted(first.parent.glob("model.*.onnx")):
        try:
            said = read_description(other)
        except ArtifactError:  # a broken file is no reason to refuse the others
            continue
        if said.direction not in ("", own) and said.precision == "fp32":
            others.append(other)
    return [first, *others]


def _called(model: Path) -> str:
    """A name for the model by its run's folder, or by its file."""
    path = model.absolute()
    tail = path.name.removesuffix(".onnx").split(".")
    words = [path.parent.name, *tail[1:]] if tail[0] == "model" and path.parent.name else tail
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(words)).lstrip("._-")[:56]
    return name or "model"


def _numbered(name: str, taken: dict[str, _Found]) -> str:
    number, own = 1, name
    while own in taken:
        number += 1
        own = f"{name}-{number}"
    return own


def _open(name: str, model: _Found, device: str) -> Served:
    """The model, which has run once: a first run takes memory, and on some devices compiles."""
    said = model.description
    if said.kind == "noise":
        generator = Generator.load(model.path, device)
        generator.decode(draw(0, 1, said.noise), generator.labels(1))
        return Served(name, model.path, generator.description, generator)
    translator = _warm(Translator.load(model.path, device))
    several = translator.device == "cpu" and usable_cores() > 1
    narrow = _warm(Translator.load(model.path, "cpu", parallel=True)) if several else None
    return Served(name, model.path, translator.description, translator, _samples(model), narrow)


def _warm(translator: Translator) -> Translator:
    said = translator.description
    side = -(-said.minimum // said.multiple) * said.multiple
    translator(np.zeros((1, side, side, said.channels_in), np.uint8))
    return translator


def _samples(model: _Found) -> tuple[Path, ...]:
    """Some of the inputs on which the model's run has shown how far it is."""
    if not model.path.name.startswith("model."):  # not a run's file
        return ()
    run = Run(model.path.parent)
    direction = model.description.direction
    folder = run.examples_for(direction) if direction and run.examples_for(direction).is_dir() else run.examples
    return tuple(path for path in find(folder) if path.parent == folder)[:_SAMPLES]
