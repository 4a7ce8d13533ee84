"""The course of a training: what happens at which step, from the first batch to the last checkpoint."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from signal import Signals

from torch import Tensor

from i2i import images
from i2i.config import RunConfig
from i2i.data import Loader, Splits, evaluation, thread_count
from i2i.errors import TrainingError
from i2i.games.game import Export
from i2i.metrics.protocol import Protocol
from i2i.training import checkpoint as checkpoints
from i2i.training.batches import prepare
from i2i.training.checkpoint import Best, Checkpoint
from i2i.training.evaluation import evaluate, picture
from i2i.training.fault import called, exported
from i2i.training.observer import Observer
from i2i.training.recorder import Recorder
from i2i.training.run import Run
from i2i.training.stopping import stopping
from i2i.training.trainer import Trainer

SHOWN = 8  # validation images in a picture of samples
SHEET = 64  # and where they are made of noise
SCORED = 8  # images that are scored at a time


@dataclass(frozen=True)
class Outcome:
    """How far a training came; `stopped` is the signal that ended it early."""

    last: Checkpoint
    best: Best | None
    stopped: Signals | None


class Fitting:
    """One training from the trainer's step to its last, in a run's directory; `resumed` is where it comes from."""

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
        self.run, self.config, self.observer = run, config, observer
        self.trainer = trainer
        self._train = splits.train
        self._protocol = protocol
        most = len(splits.validation) if protocol.most is None else protocol.most
        self._validation = splits.validation.spread(most)
        self._threads = thread_count(config.data.workers)
        self._saved = resumed
        self._best_by = config.trainer.best_by or next(iter(protocol.metrics))
        earlier = None if resumed is None else resumed.best
        # A score by another metric is no measure for the ones to come.
        self.best = earlier if earlier is not None and earlier.metric == self._best_by else None
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()
        self._counted = 0
        self._since = 0.0
        shown = splits.validation.spread(SHEET if trainer.game.noise else SHOWN)
        self._shown = list(evaluation(shown, batch=SCORED, threads=self._threads))
        self._keep_examples()

    def fit(self) -> Outcome:
        """Plays all steps; on SIGINT or SIGTERM saves and returns. Raises TrainingError when a loss is not finite."""
        timing, trainer, k = self.config.trainer, self.trainer, self.config.trainer.k
        loader = Loader(self._train, batch=timing.batch, seed=self.config.seed, threads=self._threads)
        self.observer.started(trainer.step, timing.steps)
        self._since = time.perf_counter()
        with (
            stopping(lambda: self.observer.said("stopping after this step; once more to abandon it")) as stop,
            Recorder(self.run, trainer.step) as recorder,
            loader.read(trainer.step * k) as batches,
        ):
            while trainer.step < timing.steps and not stop:
                raw = [next(batches) for _ in range(k)]
                losses = trainer.play([prepare(each, trainer.device, trainer.memory_format) for each in raw])
                self._count(losses)
                validating = trainer.step % timing.validation_interval == 0 or trainer.step == timing.steps
                if trainer.step % timing.log_every == 0 or validating:
                    self._log(recorder)  # which stops where a loss is not finite, before it is saved
                if validating:
                    self._validate(recorder)
                    self._save()
            if self._counted:
                self._log(recorder)
            last = self._save()
            if not stop:
                self.observer.finished()
            return Outcome(last, self.best, stop.signal)

    def _count(self, losses: Mapping[str, Tensor]) -> None:
        """Adds up on the device: reading a loss at every step would make the processor wait for it."""
        for name, loss in losses.items():
            self._sums[name] = self._sums[name] + loss if name in self._sums else loss
        self._counts.update(losses.keys())
        self._counted += 1

    def _log(self, recorder: Recorder) -> None:
        seconds = time.perf_counter() - self._since
        images_per_second = self._counted * self.config.trainer.batch / seconds
        means = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts, self._counted = {}, Counter(), 0
        self._check_finite(means)
        rate = self.trainer.optimizers["generators"].param_groups[0]["lr"]
        recorder.record(
            self.trainer.step, "train", {**means, "lr": rate, "images_per_second": round(images_per_second, 2)}
        )
        self.observer.played(self.trainer.step, means, images_per_second)
        self._since = time.perf_counter()

    def _check_finite(self, values: Mapping[str, float]) -> None:
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise TrainingError(
                f"step {self.trainer.step}: not finite: {', '.join(wrong)}",
                "Try a lower trainer.lr, trainer.precision=float32, or another objective; the last checkpoint is kept.",
            )

    def _validate(self, recorder: Recorder) -> None:
        trainer, game, name = self.trainer, self.trainer.average.game, self._best_by
        step = trainer.step
        batches = evaluation(self._validation, batch=SCORED, threads=self._threads)
        scores = evaluate(game, self._protocol, batches, trainer.device)
        self._check_finite(scores)
        recorder.record(step, "validation", scores)
        sign = 1 if self._protocol.metrics[name].higher_is_better else -1
        if self.best is None or sign * scores[name] > sign * self.best.score:
            self.best = Best(step, name, scores[name])
            self.run.note(best={"step": step, "metric": name, "score": scores[name], "validation": scores})
        shown = picture(game, self._shown, trainer.device)
        images.write(images.from_pixels(shown), self.run.samples / f"step-{step:07d}.png")
        self.observer.validated(step, scores, self.best)
        self._since = time.perf_counter()

    def _save(self) -> Checkpoint:
        if self._saved is None or self._saved.step != self.trainer.step:
            self._saved = checkpoints.save(self.trainer, self.best, self.run.checkpoints)
            checkpoints.prune(self.run.checkpoints, self.config.trainer.keep, self.best)
            self._since = time.perf_counter()
        return self._saved

    def _keep_examples(self) -> None:
        """Makes files of the inputs of the images that are shown, to try the model on and to check exports with."""
        for number, (name, export) in enumerate(exported(self.trainer.game).items()):
            if not isinstance(export, Export):
                continue
            if any(export.examples not in raw for raw in self._shown):
                raise TrainingError(
                    f"{called(self.trainer.game)}.exports: {name} takes '{export.examples}', and a batch has "
                    f"{', '.join(self._shown[0])}",
                    "Say by `examples` what it takes.",
                )
            folder = self.run.examples_for(name if number else "")
            for index, pixels in enumerate(pixels for raw in self._shown for pixels in raw[export.examples]):
                path = folder / f"{index}.png"
                if not path.exists():
                    images.write(images.from_pixels(pixels), path)
