"""What is done about steps that must not be taken: back to the last checkpoint, and on with what is configured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from i2i.config import GuardConfig
from i2i.errors import TrainingError
from i2i.training.guard import BrokenStepError
from i2i.training.run import Run

_NAMED: Final = 5  # images of a batch that are named
_FACT: Final = "recoveries"  # of run.json
_IN_VAIN: Final = "recoveries_in_vain"  # what was tried before it gave up: to be read, and not done again


class Recovery:
    """The broken steps of a run so far, kept in `run.json`: a run that is resumed does again what was done about them.

    All is a function of them, so that going on from any checkpoint plays what was played before.
    """

    def __init__(self, run: Run, config: GuardConfig, *, writing: bool = True) -> None:
        self._run, self._config, self._writing = run, config, writing
        self._done: list[dict[str, Any]] = list(run.facts().get(_FACT, []))

    @property
    def skipped(self) -> frozenset[int]:
        """The numbers of the batches that are left out."""
        return frozenset(number for done in self._done for number in done["batches"])

    def slowed(self, step: int) -> float:
        """What the learning rates are multiplied by in the step numbered `step`."""
        return math.prod(float(done["rate"]) for done in self._done if done["from"] <= step)

    def again(self, broken: BrokenStepError, back: int, batches: Sequence[int], names: Sequence[str]) -> str:
        """Notes that it goes back to the checkpoint of step `back`, and returns what is done in a sentence.

        batches: the numbers of those of the step; names: what their images are called. Raises TrainingError where that
        has been tried as often as configured.
        """
        what = f"step {broken.step}: {'; '.join(broken.causes)}; its images: {_some(names)}"
        tried = [done for done in self._done if done["from"] == back]
        if len(tried) >= self._config.attempts:
            # None of it has helped: whoever goes on with other settings is to begin without it.
            self._note([done for done in self._done if done["from"] != back], tried)
            times = f", {len(tried)} times tried again from there in vain" if tried else ""
            raise TrainingError(
                f"{what}; the checkpoint of step {back} is kept{times}",
                "Look at these images; or go on with other settings: "
                f"i2i train --resume {self._run.path} --set trainer.lr=..., or trainer.precision=float32.",
            ) from broken
        skipped = list(batches) if self._config.skip else []
        self._note(
            [
                *self._done,
                {
                    "step": broken.step,
                    "causes": broken.causes,
                    "images": list(names),
                    "from": back,
                    "batches": skipped,
                    "rate": self._config.rate,
                },
            ]
        )
        measures = ["without these"] * bool(skipped)
        measures += [f"with {self._config.rate:g} times the learning rate"] * (self._config.rate < 1)
        return (
            f"{what}. It goes on from the checkpoint of step {back}{', ' if measures else ''}{' and '.join(measures)}"
            f" (attempt {len(tried) + 1} of {self._config.attempts})"
        )

    def _note(self, done: list[dict[str, Any]], in_vain: Sequence[dict[str, Any]] = ()) -> None:
        self._done = done
        if self._writing:
            self._run.note(**{_FACT: done or None, _IN_VAIN: list(in_vain) or None})


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
