"""Looks at losses and gradients before a step is taken with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from i2i.errors import TrainingError

_DECAY: Final = 0.99  # of the running means: about the last hundred moves
_LEAST: Final = 20  # moves after which a running mean says something


class BrokenStepError(TrainingError):
    """A step that must not be taken: what it would be taken with is no number, or far from all before it.

    causes: a sentence each, which names the loss or the network.
    """

    def __init__(self, step: int, causes: Sequence[str]) -> None:
        super().__init__(
            f"step {step}: {'; '.join(causes)}",
            "Try a lower trainer.lr, trainer.precision=float32, or another objective; the last checkpoint is kept.",
        )
        self.step = step
        self.causes = list(causes)


class Guard:
    """Knows how large each loss has been, and refuses what is not finite or explodes.

    A loss explodes when its size is over `explosion` times its running mean, or over `explosion` where that is below 1,
    as the losses of games and their penalties may lie near 0 for long; the mean counts after 20 moves. 0: nothing
    explodes.
    """

    def __init__(self, explosion: float) -> None:
        self._explosion = explosion
        self._means: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def check(self, step: int, player: str, losses: Mapping[str, float], gradients: Mapping[str, float]) -> None:
        """Raises BrokenStepError for losses by name, or norms of gradients by network, that are no ground for a step.

        What passes is remembered.
        """
        causes = [f"the {player}' loss {name} is {_said(value)}" for name, value in losses.items() if _wrong(value)]
        causes += [
            f"the gradient of {player}.{name} is {_said(norm)}" for name, norm in gradients.items() if _wrong(norm)
        ]
        causes += [
            f"the {player}' loss {name} explodes: {value:.4g}, after about {self._means[name]:.4g}"
            for name, value in losses.items()
            if not _wrong(value) and self._explodes(name, value)
        ]
        if causes:
            raise BrokenStepError(step, causes)
        for name, value in losses.items():
            count = self._counts.get(name, 0)
            keep = min(_DECAY, count / (count + 1))  # the mean of all, until there are a hundred
            self._means[name] = keep * self._means.get(name, 0.0) + (1 - keep) * abs(value)
            self._counts[name] = count + 1

    def _explodes(self, name: str, value: float) -> bool:
        if self._explosion == 0 or self._counts.get(name, 0) < _LEAST:
            return False
        return abs(value) > self._explosion * max(1.0, self._means[name])

    def state(self) -> dict[str, Tensor]:
        """The running mean of each loss and of how many it is, for a checkpoint."""
        return {
            name: torch.tensor([mean, self._counts[name]], dtype=torch.float64) for name, mean in self._means.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` gave."""
        self._means = {name: float(pair[0]) for name, pair in state.items()}
        self._counts = {name: int(pair[1]) for name, pair in state.items()}


def _wrong(value: float) -> bool:
    return not math.isfinite(value)


def _said(value: float) -> str:
    return "no number" if math.isnan(value) else "infinite"
