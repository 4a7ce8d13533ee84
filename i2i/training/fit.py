"""The course of a training: what happens at which step, from the first batch to the last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from signal import SIGTERM, Signals
from typing import Final

import torch

from i2i.config import RunConfig
from i2i.data import Loader, Splits, thread_count
from i2i.errors import RunError
from i2i.metrics.protocol import Protocol
from i2i.training import checkpoint as checkpoints
from i2i.training.agreed import newest_agreed
from i2i.training.batches import RawBatch, prepare
from i2i.training.checkpoint import Checkpoint
from i2i.training.guard import BrokenStepError
from i2i.training.observer import Observer
from i2i.training.recorder import Recorder
from i2i.training.recovery import Recovery
from i2i.training.run import Run
from i2i.training.stopping import Stop, stopping
from i2i.training.tally import Tally
from i2i.training.trainer import Trainer
from i2i.training.validating import Validation
from i2i.training.world import LostError

STOPPING: Final = "stopping after this step; once more to abandon it"


@dataclass(frozen=True)
class Outcome:
    """The step that a training came to; `stopped` is the signal that ended it early."""

    step: int
    stopped: Signals | None


class Fitting:
    """One training from the trainer's step to its last, in a run's directory; `resumed` is where it comes from.

    Of several processes all play, and the first alone validates and writes.
    """

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        trainer: Trainer,
        splits: Splits,
        protocol: Protocol,
        observer: Observer,
        resumed: Checkpoint | None = None,
    ) -> None:
        self.run, self.config, self.observer, self.trainer = run, config, observer, trainer
        self.world = trainer.world
        self._train = splits.train
        self._saved = None if resumed is None else resumed.step
        self._tally = Tally()
        self._validation: Validation | None = None
        if self.world.first:
            self._validation = Validation(run, config, trainer, splits, protocol, observer, resumed)
        self._recovery = Recovery(run, config.trainer.guard, writing=self.world.first)

    def fit(self) -> Outcome:
        """Plays all steps; on SIGINT or SIGTERM saves and returns.

        Raises TrainingError where a step is broken, again and again, by losses or gradients that are no numbers.
        """
        self.observer.started(self.trainer.step, self.config.trainer.steps)
        with stopping(lambda: self.observer.said(STOPPING)) as stop:
            self._save()  # of a new run too: what breaks is tried again from there
            while True:
                try:
                    self._play(stop)
                except BrokenStepError as broken:
                    self._go_back(broken)
                except LostError:
                    if stop:  # all are told, and another one has heard it twice
                        raise KeyboardInterrupt from None
                    raise
                else:
                    break
            if not stop:
                self.observer.finished()
            return Outcome(self.trainer.step, stop.signal)

    def _play(self, stop: Stop) -> None:
        """The steps that are left, or those until someone wishes to stop."""
        timing, trainer = self.config.trainer, self.trainer
        self._tally = Tally()
        with ExitStack() as stack:
            recorder = stack.enter_context(Recorder(self.run, trainer.step)) if self.world.first else None
            batches = stack.enter_context(self._loader().read(trainer.step * timing.k))
            if self._validation is not None:
                self._validation.recall(trainer.step)
            while trainer.step < timing.steps and not self._agreed(stop):
                raw = [next(batches) for _ in range(timing.k * timing.accumulate)]
                self._step(raw)
                validating = trainer.step % timing.validation_interval == 0 or trainer.step == timing.steps
                if recorder is not None and (trainer.step % timing.log_every == 0 or validating):
                    self._log(recorder)
                if validating:
                    if recorder is not None and self._validation is not None:
                        self._validation.validate(recorder)
                    self._save()
                    self._tally.rest()
            if recorder is not None and self._tally.steps:
                self._log(recorder)
            self._save()

    def _step(self, raw: Sequence[RawBatch]) -> None:
        trainer = self.trainer
        trainer.slowed = self._recovery.slowed(trainer.step)
        self._tally.add(trainer.play([prepare(each, trainer.device, trainer.memory_format) for each in raw]))

    def _agreed(self, stop: Stop) -> bool:
        """Whether a process has been told to stop: then all do, after the same step."""
        if self.world.size == 1:
            return bool(stop)
        # On the CPU, where an exchange may last: the first process has been validating or writing.
        wishes = self.world.sum(torch.tensor([float(bool(stop))])).item()
        if wishes and not stop:
            stop.signal = SIGTERM
        return bool(wishes)  # a wish that came during the exchange is one for the next

    def _loader(self) -> Loader:
        return Loader(
            self._train,
            batch=self.config.trainer.batch,
            seed=self.config.seed,
            threads=thread_count(self.config.data.workers, self.world.beside),
            parts=self.config.trainer.accumulate,
            rank=self.world.rank,
            size=self.world.size,
            skip=self._recovery.skipped,
        )

    def _go_back(self, broken: BrokenStepError) -> None:
        """Back to the newest whole checkpoint; raises TrainingError where that has been tried often enough."""
        whole, passed = newest_agreed(self.run.checkpoints, self.world)
        if whole is None:
            raise RunError(f"{self.run.checkpoints}: no whole checkpoint left: {'; '.join(passed)}") from broken
        k, loader = self.config.trainer.k, self._loader()
        numbers = [loader.number(broken.step * k + move) for move in range(k)]
        names = [name for number in numbers for name in loader.names(number)]
        said = self._recovery.again(broken, whole.step, numbers, names)
        checkpoints.restore(self.trainer, whole)
        self._saved = whole.step
        if self._validation is not None:
            self._validation.go_back(whole)
        self.observer.said(said)

    def _log(self, recorder: Recorder) -> None:
        assert self._validation is not None
        means, speed = self._tally.take()
        images_per_second = speed * self.config.trainer.batch
        rate = self.trainer.optimizers["generators"].param_groups[0]["lr"]
        self._validation.record(
            recorder, "train", {**means, "lr": rate, "images_per_second": round(images_per_second, 2)}
        )
        self.observer.played(self.trainer.step, _losses(means), images_per_second)

    def _save(self) -> None:
        """Saves, unless the last checkpoint is of this step; raises TrainingError where processes have come apart."""
        self.world.check_same(torch.get_rng_state(), "random numbers")
        if self.world.size > 1:
            self.world.check_same(self._standing(), "steps, losses or weights")
        if self._validation is None or self._saved == self.trainer.step:
            return
        timing, best = self.config.trainer, self._validation.best
        checkpoints.save(self.trainer, best, self.run.checkpoints, self.config)
        checkpoints.prune(self.run.checkpoints, timing.keep, best, timing.keep_every)
        self._saved = self.trainer.step
        self._tally.rest()

    def _standing(self) -> torch.Tensor:
        """What is the same in all processes: step, left out batches, sizes of losses, and one weight of each tensor."""
        trainer = self.trainer
        weights = [weight.detach()[(0,) * weight.dim()] for weight in trainer.game.parameters() if weight.numel()]
        known = [trainer.step, *sorted(self._recovery.skipped)]
        parts = [torch.tensor(known), *trainer.extra().values(), torch.stack(weights)]
        return torch.cat([part.detach().reshape(-1).to("cpu", torch.float64) for part in parts])


def _losses(means: Mapping[str, float]) -> dict[str, float]:
    """What a person watches: not what is only looked at for signs of trouble."""
    return {name: value for name, value in means.items() if not name.startswith("gradient_") and name != "signs"}
