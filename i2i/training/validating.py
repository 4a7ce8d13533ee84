"""What happens at a validation: scores, pictures, the signs of trouble, and which weights are the best."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from i2i import images
from i2i.config import RunConfig
from i2i.data import Splits, evaluation, thread_count
from i2i.errors import TrainingError
from i2i.games.game import Export
from i2i.metrics.protocol import Protocol
from i2i.training.checkpoint import Best, Checkpoint
from i2i.training.diagnostics import Diagnostics, Facts
from i2i.training.evaluation import SCORED, evaluate, picture
from i2i.training.fault import called, exported
from i2i.training.observer import Observer
from i2i.training.recorder import Recorder
from i2i.training.run import Run
from i2i.training.signs import count, examples, signs
from i2i.training.trainer import Trainer

SHOWN: Final = 8  # validation images in a picture of samples
SHEET: Final = 64  # and where they are made of noise
_FACT: Final = "diagnoses"  # of run.json


class Validation:
    """Scores the averaged generators of a run on the same images each time, and remembers which step was best.

    resumed: the checkpoint that the run goes on from; what was recorded after it is not known here.
    """

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        trainer: Trainer,
        splits: Splits,
        protocol: Protocol,
        observer: Observer,
        resumed: Checkpoint | None,
    ) -> None:
        self._run, self._config, self._trainer, self._observer = run, config, trainer, observer
        self._protocol = protocol
        self._threads = thread_count(config.data.workers)
        most = len(splits.validation) if protocol.most is None else protocol.most
        self._scored = splits.validation.spread(most)
        self._looked_at = splits.train, splits.held
        self.by = config.trainer.best_by or next(iter(protocol.metrics))
        self._higher = protocol.metrics[self.by].higher_is_better
        self.best = self._best_of(resumed)
        shown = splits.validation.spread(SHEET if trainer.game.noise else SHOWN)
        self._shown = list(evaluation(shown, batch=SCORED, threads=self._threads))
        self._diagnostics = self._undiagnosed()
        self._keep_examples()

    def _best_of(self, checkpoint: Checkpoint | None) -> Best | None:
        best = None if checkpoint is None else checkpoint.best
        # A score by another metric is no measure for the ones to come.
        return best if best is not None and best.metric == self.by else None

    def go_back(self, checkpoint: Checkpoint) -> None:
        """Takes for the best what `checkpoint` says: of what was scored after it the weights are not what they were."""
        self.best = self._best_of(checkpoint)
        self._run.note(best=None if self.best is None else {**asdict(self.best), "higher_is_better": self._higher})

    def recall(self, step: int) -> None:
        """Begins at `step`, with what was recorded until then: what is wrong with that has been said."""
        self._diagnostics = self._undiagnosed()
        said = [found for found in self._run.facts().get(_FACT, []) if found["step"] <= step]
        self._run.note(**{_FACT: said or None})
        if self._run.metrics.exists():
            for line in self._run.metrics.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if record["step"] <= step:
                    self._diagnostics.add(record)

    def record(self, recorder: Recorder, kind: str, figures: Mapping[str, float]) -> None:
        """Notes figures after the trainer's step, and says what is newly found to be wrong with the game."""
        step = self._trainer.step
        recorder.record(step, kind, figures)
        for found in self._diagnostics.add({"step": step, "kind": kind, **figures}):
            self._observer.said(str(found))
            recorder.tell(found.step, "diagnosis", {"name": found.name, "said": str(found)})
            self._run.note(**{_FACT: [*self._run.facts().get(_FACT, []), asdict(found)]})

    def validate(self, recorder: Recorder) -> None:
        """Scores, shows and examines the trainer's game; raises TrainingError where a score is no number."""
        trainer, game, name = self._trainer, self._trainer.average.game, self.by
        step = trainer.step
        batches = evaluation(self._scored, batch=SCORED, threads=self._threads)
        scores = evaluate(game, self._protocol, batches, trainer.device)
        if wrong := [name for name, score in scores.items() if not math.isfinite(score)]:
            raise TrainingError(
                f"step {step}: the averaged generators score no number: {', '.join(wrong)}",
                "Try a lower trainer.lr or trainer.precision=float32; the last checkpoint is kept.",
            )
        sign = 1 if self._higher else -1
        if self.best is None or sign * scores[name] > sign * self.best.score:
            self.best = Best(step, name, scores[name])
            self._run.note(best={**asdict(self.best), "higher_is_better": self._higher, "validation": scores})
        self.record(recorder, "validation", scores)
        self.record(recorder, "signs", self._signs())
        shown = picture(game, self._shown, trainer.device)
        images.write(images.from_pixels(shown), self._run.samples / f"step-{step:07d}.png")
        self._observer.validated(step, scores, self.best)

    def _undiagnosed(self) -> Diagnostics:
        return Diagnostics(Facts.of(self._config, len(self._trainer.game.discriminators), self.by, self._higher))

    def _signs(self) -> dict[str, float]:
        trainer, timing = self._trainer, self._config.trainer
        batch = timing.batch // timing.accumulate
        number = count(timing.validation_interval * timing.batch, batch)
        turn = trainer.step // timing.validation_interval
        train, held = (examples(split, number, batch, turn) for split in self._looked_at)
        middle = None if trainer.objective.relative else trainer.objective.middle
        return signs(trainer.game, trainer.average.game, middle, train, held, trainer.device, trainer.autocast)

    def _keep_examples(self) -> None:
        """Makes files of the inputs of the images that are shown, to try the model on and to check exports with."""
        for number, (name, export) in enumerate(exported(self._trainer.game).items()):
            if not isinstance(export, Export):
                continue
            if any(export.examples not in raw for raw in self._shown):
                raise TrainingError(
                    f"{called(self._trainer.game)}.exports: {name} takes '{export.examples}', and a batch has "
                    f"{', '.join(self._shown[0])}",
                    "Say by `examples` what it takes.",
                )
            folder = self._run.examples_for(name if number else "")
            for index, pixels in enumerate(pixels for raw in self._shown for pixels in raw[export.examples]):
                path = folder / f"{index}.png"
                if not path.exists():
                    images.write(images.from_pixels(pixels), path)
