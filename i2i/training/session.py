"""A training as a whole: data, device and game of a configuration, played into a run and scored at the end."""

from __future__ import annotations

import hashlib
import platform

import torch

from i2i.config import RunConfig
from i2i.data import evaluation, open_splits
from i2i.errors import DataError
from i2i.games.game import Game
from i2i.plugin import Plugin
from i2i.training import checkpoint as checkpoints
from i2i.training.best import load_best
from i2i.training.checkpoint import Checkpoint
from i2i.training.device import autocast_type, describe, resolve
from i2i.training.evaluation import copying, evaluate
from i2i.training.fit import SHOWN, Fitting, Outcome
from i2i.training.observer import Observer
from i2i.training.run import Run
from i2i.training.trainer import Trainer
from i2i.version import __version__


class Session:
    """Opens device, data and networks, so that what is wrong with them is known before anything is written."""

    def __init__(self, plugin: Plugin, config: RunConfig, observer: Observer | None = None) -> None:
        self.plugin, self.config = plugin, config
        self.observer = Observer() if observer is None else observer
        self.device = resolve(config.device)
        self.splits = open_splits(config.data, progress=self.observer.prepared)
        for warning in self.splits.warnings:
            self.observer.said(warning)
        if not len(self.splits.validation):
            raise DataError(
                f"data.source {config.data.source}: no pair is left to validate on, so no best weights can be told",
                "Have at least two pairs, and data.validation above 0.",
            )
        self._trainer = Trainer(self.build(), config.objective, config.trainer, self.device)
        self._resumed: Checkpoint | None = None

    def build(self) -> Game:
        """A game with fresh weights, which the seed decides."""
        torch.manual_seed(self.config.seed)
        return self.plugin.build(self.config)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Goes on from `checkpoint`; raises RunError where it is damaged or of other networks."""
        checkpoints.restore(self._trainer, checkpoint)
        self._resumed = checkpoint

    def play(self, run: Run) -> Outcome:
        """Trains into `run` until the last step or a signal."""
        machine = describe(self.device, autocast_type(self.device, self.config.trainer.precision))
        versions = {"i2i": __version__, "python": platform.python_version(), "torch": torch.__version__}
        names = self._names()
        started_with = run.facts().get("names", names)
        ended: dict[str, object] = dict.fromkeys(("ended", "error", "signal", "scores"))  # of an earlier attempt
        facts = {"data": self.splits.description, "names": names, "device": machine, "versions": versions}
        run.note(state="running", **facts, **ended)
        for line in (f"{run.path}: {self.splits.description}", machine):
            self.observer.said(line)
        if self._resumed is not None and started_with != names:
            self.observer.said("the data is not what this run was started with: it goes on, but as another run")
        return Fitting(run, self.config, self._trainer, self.splits, self.observer, self._resumed).fit()

    def _names(self) -> str:
        """A digest of which pair is in which split."""
        parts = [self.splits.train.names, self.splits.validation.names, self.splits.test.names]
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()

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
