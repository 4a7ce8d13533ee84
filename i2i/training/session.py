"""A training as a whole: data, device and game of a configuration, played into a run and scored at the end."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence

import torch

from i2i.config import RunConfig
from i2i.data import Splits, evaluation, open_splits, thread_count
from i2i.errors import ConfigError, DataError, did_you_mean
from i2i.games.game import Game
from i2i.metrics.protocol import protocol
from i2i.plugin import Plugin
from i2i.training import checkpoint as checkpoints
from i2i.training.best import load_best
from i2i.training.checkpoint import Checkpoint
from i2i.training.device import autocast_type, describe, resolve
from i2i.training.evaluation import baselines, evaluate
from i2i.training.fault import naming
from i2i.training.fit import SCORED, Fitting, Outcome
from i2i.training.observer import Observer
from i2i.training.run import Run
from i2i.training.start import Start, start_from
from i2i.training.trainer import Trainer
from i2i.version import __version__

COMPARED = 5_000  # images at most of which all are compared with all


class Session:
    """Opens device, data and networks, so that what is wrong with them is known before anything is written."""

    def __init__(
        self, plugin: Plugin, config: RunConfig, observer: Observer | None = None, start: Start | None = None
    ) -> None:
        self.plugin = plugin
        self.observer = Observer() if observer is None else observer
        self.device = resolve(config.device)
        self.protocol = protocol(plugin.kind, config.data)
        known = self.protocol.metrics
        if config.trainer.best_by is not None and config.trainer.best_by not in known:
            guess = did_you_mean(config.trainer.best_by, known)
            raise ConfigError(
                f"trainer.best_by {config.trainer.best_by}: no metric of {plugin.kind} data{guess}",
                f"Choose one of: {', '.join(known)}.",
            )
        self.splits = open_splits(config.data, plugin.kind, progress=self.observer.prepared)
        if plugin.kind == "upscaled" and config.data.scale == 1 and not self.splits.given:
            raise DataError(
                "data.scale 1: input and target would be one image",
                "Give what is to be restored too, in DIR/A and DIR/B; or enlarge: data.scale=2 or more.",
            )
        self.config = with_classes(config, self.splits)
        for warning in self.splits.warnings:
            self.observer.said(warning)
        if len(self.splits.validation) < self.protocol.least:
            raise DataError(
                f"data.source {config.data.source}: {len(self.splits.validation)} left to validate on, "
                f"at least {self.protocol.least} needed: no best weights could be told",
                "Have more images, and data.validation above 0.",
            )
        game = self.build()
        with naming(game):
            self.notes = list(game.notes())
        if start is not None:
            fresh = start_from(game, start)
            self.notes.append(f"starts from the weights of {start.path}{_but(fresh)}")
        self._trainer = Trainer(game, config.objective, config.trainer, self.device)
        with naming(game):
            game.demand()
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
        facts = {"data": self.splits.description, "names": names, "device": machine, "versions": versions}
        run.begin(**facts, **({"notes": self.notes} if self.notes and self._resumed is None else {}))
        for line in (f"{run.path}: {self.splits.description}", *self.notes, machine):
            self.observer.said(line)
        if self._resumed is not None and started_with != names:
            self.observer.said("the data is not what this run was started with: it goes on, but as another run")
        splits, trainer = self.splits, self._trainer
        return Fitting(run, self.config, trainer, splits, self.protocol, self.observer, self._resumed).fit()

    def _names(self) -> str:
        """A digest of what is in which split."""
        parts = [self.splits.train.names, self.splits.validation.names, self.splits.test.names]
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def score(self, run: Run) -> dict[str, object]:
        """Scores the best weights, and what there is without a model, on the test images or else the validation's."""
        test, least = self.splits.test, self.protocol.least
        split, name = (test, "test") if len(test) >= least else (self.splits.validation, "validation")
        if self.protocol.most is not None:
            split = split.spread(COMPARED)
        game = load_best(self.build(), run).to(self.device)
        scoring = self.protocol.another()  # the other one knows the targets of validation
        threads = thread_count(self.config.data.workers)
        return {
            "split": name,
            "images": len(split),
            "model": evaluate(game, scoring, evaluation(split, batch=SCORED, threads=threads), self.device),
            "baselines": baselines(scoring, evaluation(split, batch=SCORED, threads=threads), self.device),
        }


def _but(fresh: Sequence[str]) -> str:
    return f"; {' and '.join(fresh)}, of which it has none, begins anew" if fresh else ""


def with_classes(config: RunConfig, splits: Splits) -> RunConfig:
    """`config` with the classes that the data has, which decide the networks."""
    if not splits.classes:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"classes": splits.classes})})
