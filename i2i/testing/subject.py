"""A plugin under test: its manifest, small configurations of it, and drawn data for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from i2i import plugin as plugins
from i2i.config import Layer, RunConfig, resolve
from i2i.course import stages
from i2i.data import Loader, Splits, open_splits
from i2i.games.game import Batch, Game
from i2i.plugin import Entry, Plugin
from i2i.testing.drawn import draw
from i2i.training.batches import RawBatch, prepare
from i2i.training.device import resolve as resolve_device
from i2i.training.session import with_classes
from i2i.training.trainer import Trainer

Tree = Mapping[str, Any]

SMALL: Final[Tree] = {
    "device": "cpu",
    "data": {"size": 32, "validation": 0.3, "workers": 0},
    "trainer": {
        "steps": 4,
        "batch": 2,
        "validate_every": 4,
        "log_every": 1,
        "schedule": {"name": "constant"},
        "precision": "float32",
    },
}
SIDE: Final = 160  # pixels of what is drawn; the largest of the sizes that are tried is 128
BATCHES: Final = 4


@dataclass(frozen=True)
class Scene:
    """A configuration of a single training, and the first batches of its data."""

    manifest: Plugin
    config: RunConfig
    splits: Splits
    raw: Sequence[RawBatch]

    def build(self, seed: int = 0) -> Game:
        """A fresh game, its weights drawn under `seed`."""
        torch.manual_seed(seed)
        return self.manifest.build(self.config)

    def trainer(self, seed: int = 0) -> Trainer:
        """A trainer of a fresh game."""
        return self.train(self.build(seed))

    def train(self, game: Game) -> Trainer:
        """A trainer of `game`."""
        config = self.config
        return Trainer(game, config.objective, config.trainer, resolve_device(config.device), config.stability)

    def batches(self, trainer: Trainer) -> list[Batch]:
        """The batches where and as `trainer` wants them."""
        return [prepare(raw, trainer.device, trainer.memory_format) for raw in self.raw]


class Subject:
    """The plugin called `name`, with `settings` over the small ones of its manifest, on drawn data.

    name: as for `i2i train`; `distribution:name` where two share it. settings: nested, as in the YAML files. layers:
    configuration layers below `settings`. Nothing is imported, built or drawn before it is asked for.
    """

    def __init__(self, name: str, settings: Tree | None = None, *, layers: Sequence[Layer] = ()) -> None:
        self.name = name
        self._layers = [*layers, Layer("settings", settings or {})]

    @cached_property
    def entry(self) -> Entry:
        """What the plugin's distribution registers; raises PluginError where there is none or more than one."""
        return plugins.find(self.name)

    @cached_property
    def manifest(self) -> Plugin:
        """The manifest; raises PluginError where it does not load."""
        return self.entry.load()

    @property
    def package(self) -> str:
        """The top-level package, or module, of the plugin."""
        return self.entry.entry_point.module.partition(".")[0]

    @cached_property
    def folder(self) -> Path:
        """A folder for whatever a check writes, removed with this object."""
        return Path(self._kept.name)

    @cached_property
    def _kept(self) -> TemporaryDirectory[str]:
        return TemporaryDirectory(prefix="i2i-")

    def configure(self, *settings: Tree) -> RunConfig:
        """The configuration of a whole run under `settings`, on drawn data; raises ConfigError where it is refused."""
        layers = [
            Layer("i2i.testing", {**SMALL, "data": {**SMALL["data"], "source": str(self.folder / "data")}}),
            Layer(f"{self.name}'s small", self.manifest.small),
            *self._layers,
            *(Layer("i2i.testing", tree) for tree in settings),
            Layer("plugin", {"plugin": self.manifest.name}),
        ]
        return resolve(self.manifest.config, layers)

    def last(self, config: RunConfig) -> RunConfig:
        """The configuration of the last of the trainings that `config` stands for."""
        return list(stages(self.manifest, config).values())[-1]

    def scene(self, *settings: Tree) -> Scene:
        """The last training under `settings` with its data; raises ConfigError or DataError where it is refused."""
        config = self.last(self.configure(*settings))
        self._draw(config.data.size)
        splits = open_splits(config.data, self.manifest.kind)
        loader = Loader(splits.train, batch=config.trainer.batch, seed=0, threads=0)
        with loader.read() as batches:
            raw = [next(batches) for _ in range(max(BATCHES, 4 * config.trainer.k))]  # two steps at least, in two parts
        return Scene(self.manifest, with_classes(config, splits), splits, raw)

    @cached_property
    def plain(self) -> Scene:
        """The last training without further settings."""
        return self.scene()

    def playing(self, settings: Tree) -> Scene:
        """The last training under `settings` that leave the data as it is; raises ConfigError where it is refused."""
        config = self.last(self.configure(settings))
        return replace(self.plain, config=with_classes(config, self.plain.splits))

    def _draw(self, size: int) -> None:
        """Draws the data once, large enough to cut squares of `size` pixels from."""
        folder = self.folder / "data"
        if not folder.exists():
            draw(folder, self.manifest.kind, max(SIDE, round(1.25 * size)))
