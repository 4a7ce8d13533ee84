"""What is scored: an exported model, with what the run it lies in knows of it, or a folder of finished images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from i2i import plugin as plugins
from i2i.artifact import Description
from i2i.config import DataConfig, read_yaml, resolve
from i2i.data.tree import find as images_below
from i2i.errors import I2IError, PluginError
from i2i.evaluated import SCORES
from i2i.plugin import Kind
from i2i.runtime.model.find import find_model, read_description
from i2i.training.run import Run


@dataclass(frozen=True)
class Subject:
    """Something that is scored.

    path: the model's file, or the folder of finished images. description: what a model says of itself, None of finished
    images. run: in which the model lies, if it does. data: the run's. kind: of the data that its plugin is trained on,
    None where that is not known. notes: for the user to see.
    """

    name: str
    path: Path
    description: Description | None = None
    run: Run | None = None
    data: DataConfig | None = None
    kind: Kind | None = None
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of the weights, of a model."""
        return "" if self.description is None else self.description.digest

    @property
    def own(self) -> bool:
        """Whether there is a run with data of its own."""
        return self.data is not None

    @property
    def variant(self) -> str:
        """What tells the model's file from the run's `model.onnx`: "", "BtoA", "int8", "BtoA.int8"."""
        return ".".join(self.path.name.split(".")[1:-1]) if self.run is not None else ""


def open_subject(path: Path, direction: str | None = None) -> Subject:
    """What `path` names: an .onnx file, a run, or a folder of images; the model itself is not opened.

    direction: of a model that has several, each in a file; else of the data alone. Raises ArtifactError, RunError,
    ConfigError or I2IError for what it is not.
    """
    if path.is_dir() and not (path / "model.onnx").is_file() and not (path / "run.json").is_file():
        if (path / SCORES).is_file():
            raise I2IError(
                f"{path}: an evaluation, which is scored already",
                "`i2i compare` sets evaluations side by side; to score, give a model, a run or a folder of images.",
            )
        if next(images_below(path), None) is None:
            raise I2IError(f"{path}: neither a run, nor a folder with images", "Give a model, a run, or such a folder.")
        return Subject(path.resolve().name, path)
    file = find_model(path)
    description = read_description(file)
    if direction is not None and description.direction:
        file = find_model(path, direction)
        description = read_description(file)
    home = file.resolve().parent
    if not (home / "run.json").is_file():
        return Subject(file.stem, file, description)
    run = Run.open(file.parent)
    facts = run.facts()
    own = Subject(home.name, file, description, run)
    name = home.name if not own.variant else f"{home.name} {own.variant}"
    try:
        manifest = plugins.find(str(facts.get("plugin")), prefer=facts.get("distribution")).load()
    except PluginError as error:
        note = f"{error.message}; what kind of data it is for is guessed"
        return Subject(name, file, description, run, notes=(note,))
    data = None
    if "imported" not in facts:
        data = resolve(manifest.config, [read_yaml(run.config)]).data
    return Subject(name, file, description, run, data, manifest.kind)
