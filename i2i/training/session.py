"""A training as a whole: data, device and game of a configuration, played into a run and scored at the end."""

from __future__ import annotations

import platform

import torch

from i2i.config import RunConfig
from i2i.data import evaluation, open_splits
from i2i.errors import DataError
from i2i.games.game import Game
from i2i.plugin import Plugin
from i2i.training.best import load_best
from i2i.training.checkpoint import Checkpoint
from i2i.training.device import autocast_type, describe, resolve
from i2i.training.evaluation import copying, evaluate
from i2i.training.fit import SHOWN, Fitting, Outcome
from i2i.training.observer import Observer
from i2i.training.run import Run
from i2i.version import __version__


class Session:
    """Opens the device and the data, so that what is missing is known before anything is written."""

    def __init__(self, plugin: Plugin, config: RunConfig, observer: Observer | None = None) -> None:
        self.plugin, self.config = plugin, config
        self.observer = Observer() if observer is None else observer
        self.device = resolve(config.device)
        self.splits = open_splits(config.data, progress=self.observer.prepared)
        if not len(self.splits.validation):
            raise DataError(
                f"data.source {config.data.source}: no pair is left to validate on, so no best weights can be told",
                "Have at least two pairs, and data.validation above 0.",
            )

    def build(self) -> Game:
        """A game with fresh weights, which the seed decides."""
        torch.manual_seed(self.config.seed)
        return self.plugin.build(self.config)

    def play(self, run: Run, resumed: Checkpoint | None = None) -> Outcome:
        """Trains into `run` until the last step or a signal."""
        machine = describe(self.device, autocast_type(self.device, self.config.trainer.precision))
        versions = {"i2i": __version__, "python": platform.python_version(), "torch": torch.__version__}
        run.note(state="running", data=self.splits.description, device=machine, versions=versions)
        for line in (f"{run.path}: {self.splits.description}", machine, *self.splits.warnings):
            self.observer.said(line)
        return Fitting(run, self.config, self.build(), self.splits, self.device, self.observer, resumed).fit()

    def score(self, run: Run) -> dict[str, object]:
        """Scores the best weights, and copying the input, on the test images or else on the validation images."""
        split, name = (self.splits.test, "test") if len(self.splits.test) else (self.splits.validation, "validation")
        game = load_best(self.build(), run).to(self.device)
        return {
            "split": name,
            "images": len(split),
            "model": evaluate(game, evaluation(split, self.config.data, batch=SHOWN), self.device),
            "copying": copying(evaluation(split, self.config.data, batch=SHOWN), self.device),
        }
