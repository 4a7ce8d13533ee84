"""A training as a whole: data, device and game of a configuration, played into a run and scored at the end."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import torch

from i2i.config import RunConfig, TrainerConfig
from i2i.data import Splits, open_splits, thread_count
from i2i.errors import ConfigError, DataError, did_you_mean
from i2i.games.game import Game
from i2i.metrics.protocol import protocol
from i2i.plugin import Plugin
from i2i.training import checkpoint as checkpoints
from i2i.training.best import load_best
from i2i.training.changes import changed
from i2i.training.checkpoint import Checkpoint
from i2i.training.device import describe, resolve
from i2i.training.fault import naming
from i2i.training.fit import Fitting, Outcome
from i2i.training.observer import Observer
from i2i.training.recorder import Recorder
from i2i.training.run import Run
from i2i.training.scoring import Assessed, assess, sized
from i2i.training.start import Start, start_from
from i2i.training.trainer import Trainer
from i2i.training.validating import Validation
from i2i.training.world import ALONE, World, own_device
from i2i.version import __version__

COMPARED = 5_000  # images at most of which all are compared with all


class Session:
    """Opens device, data and networks, so that what is wrong with them is known before anything is written."""

    def __init__(
        self,
        plugin: Plugin,
        config: RunConfig,
        observer: Observer | None = None,
        start: Start | None = None,
        world: World = ALONE,
    ) -> None:
        self.plugin = plugin
        self.world = world
        self.observer = Observer() if observer is None or not world.first else observer
        self.device = resolve(own_device(config.device, world))
        check_parts(config.trainer, world)
        self.protocol = protocol(plugin.kind, config.data)
        known = self.protocol.metrics
        if config.trainer.best_by is not None and config.trainer.best_by not in known:
            guess = did_you_mean(config.trainer.best_by, known)
            raise ConfigError(
                f"trainer.best_by {config.trainer.best_by}: no metric of {plugin.kind} data{guess}",
                f"Choose one of: {', '.join(known)}.",
            )
        threads = thread_count(config.data.workers, world.beside)
        # Each process keeps images of its own, in the memory of its machine.
        data = config.data.model_copy(update={"cache": config.data.cache / world.beside, "workers": threads})
        self.splits = open_splits(data, plugin.kind, progress=self.observer.prepared)
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
        self._trainer = Trainer(game, config.objective, config.trainer, self.device, config.stability, world)
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
        if self.world.first:
            self._begin(run)
            self._validate_again(run)
        return Fitting(run, self.config, self._trainer, self.splits, self.protocol, self.observer, self._resumed).fit()

    def _validate_again(self, run: Run) -> None:
        """Scores the checkpoint that it goes on from, where no step is left and the best one was lost."""
        resumed = self._resumed
        if resumed is None or resumed.best is not None or resumed.step < self.config.trainer.steps:
            return
        validation = Validation(run, self.config, self._trainer, self.splits, self.protocol, self.observer, resumed)
        with Recorder(run, resumed.step) as recorder:
            validation.recall(resumed.step)
            validation.validate(recorder)
        if validation.best is not None:
            self._resumed = checkpoints.note_best(resumed, validation.best)

    def _begin(self, run: Run) -> None:
        machine = describe(self.device, self.config.trainer.precision, self.world.size)
        played = run.facts().get("digests")
        step = self._trainer.step
        # Of the data that the checkpoint was played with: what a later one began and did not save is no part of it.
        seen = [each for each in played or [] if each["from"] < step]
        before, now = (seen[-1] if seen else (played or [None])[0]), {"from": step, **self.splits.digests}
        if not seen or other_splits(before, now):
            seen.append(now)
        versions = {"i2i": __version__, "python": platform.python_version(), "torch": torch.__version__}
        facts = {"data": self.splits.description, "digests": seen, "device": machine, "versions": versions}
        run.begin(**facts, **({"notes": self.notes} if self.notes and self._resumed is None else {}))
        for line in (f"{run.path}: {self.splits.description}", *self.notes, machine):
            self.observer.said(line)
        if self._resumed is not None:
            if before is None:
                self.observer.said("an earlier version kept no digest of the images: they may be others than before")
            elif other := other_splits(before, now):
                self.observer.said(
                    f"the images of {' and '.join(other)} are not those of step {step}: it goes on, but as another run"
                )
            told = {"config": self.config.model_dump(mode="json"), "machine": checkpoints.machine(self._trainer)}
            for change in changed(self._resumed.told, {**told, **versions}):
                self.observer.said(f"changed since step {self._resumed.step}: {change}")

    def score(self, run: Run) -> Assessed:
        """Scores the best weights, and what there is without a model, on the test images or else the validation's."""
        test, least = self.splits.test, self.protocol.least
        split, name = (test, "test") if len(test) >= least else (self.splits.validation, "validation")
        if self.protocol.most is not None:
            split = split.spread(COMPARED)
        game = load_best(self.build(), run).to(self.device)
        side = self.config.data.evaluation_size if name == "validation" else None
        size = sized(self.plugin.kind, self.config.data, side)
        told = {"model": self.plugin.name, "data": self.splits.description, "split": name, "size": size}
        threads = thread_count(self.config.data.workers)
        # Another one: that of validation knows the targets there.
        return assess(game, self.protocol.another(), split, told, threads, self.device)


def _but(fresh: Sequence[str]) -> str:
    return f"; {' and '.join(fresh)}, of which it has none, begins anew" if fresh else ""


def other_splits(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The splits of which the digests differ."""
    return [split for split, digest in now.items() if split != "from" and before.get(split) != digest]


def check_parts(config: TrainerConfig, world: World) -> None:
    """Raises ConfigError where a batch cannot be shared out evenly."""
    if config.batch % (config.accumulate * world.size):
        among = [f"{config.accumulate} parts"] * (config.accumulate > 1) + [f"{world.size} processes"] * (
            world.size > 1
        )
        raise ConfigError(
            f"trainer.batch {config.batch}: cannot be shared out among {' of '.join(among)}",
            f"Set trainer.batch to a multiple of {config.accumulate * world.size}.",
        )


def with_classes(config: RunConfig, splits: Splits) -> RunConfig:
    """`config` with the classes that the data has, which decide the networks."""
    if not splits.classes:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"classes": splits.classes})})
