"""Scoring and showing a game on fixed images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i import images, noise
from i2i.errors import TrainingError
from i2i.games.game import Batch, Game
from i2i.images import Pixels
from i2i.metrics.kept import Kept
from i2i.metrics.metric import to_levels
from i2i.metrics.protocol import Protocol
from i2i.sheet import lay, wrap
from i2i.training.batches import RawBatch, prepare
from i2i.training.fault import naming
from i2i.training.trainer import RESERVED

SCORED: Final = 8  # images that are scored at a time
NOISE_SEED = 0  # of the noise that is validated and shown: `i2i generate --seed 0` makes the same images


@dataclass(frozen=True)
class Seen:
    """What is known of a game's outputs: enough for every score, and what the game measures itself, `[N]` each."""

    kept: Kept
    measured: Mapping[str, NDArray[np.float64]]

    def values(self) -> dict[str, float]:
        """The protocol's scores, and the means of the game's own measures."""
        return {**self.kept.values(), **{name: float(values.mean()) for name, values in self.measured.items()}}


@torch.no_grad()
def see(game: Game, protocol: Protocol, batches: Iterable[RawBatch], device: torch.device) -> Seen:
    """What the protocol keeps of the game's outputs, as deployed; TrainingError where a measure's name is taken."""
    measured: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for batch in _typed(game, _prepared(batches, game.noise, device)):
        with naming(game, [batch]):
            shown = game.previews(batch)
            protocol.add(shown["output"], shown["target"], batch)
            for name, values in game.measures(batch).items():
                measured[name].append(values.double().cpu().numpy())
    taken = measured.keys() & (RESERVED | protocol.metrics.keys())
    if taken:
        raise TrainingError(
            f"{type(game).__name__}.measures: the name {', '.join(sorted(taken))} is taken", "Call it something else."
        )
    return Seen(protocol.take(), {name: np.concatenate(values) for name, values in measured.items()})


def evaluate(game: Game, protocol: Protocol, batches: Iterable[RawBatch], device: torch.device) -> dict[str, float]:
    """The protocol's scores of the game's outputs, as deployed, and the means of the game's own measures."""
    return see(game, protocol, batches, device).values()


@torch.no_grad()
def baselines(protocol: Protocol, batches: Iterable[RawBatch], device: torch.device) -> dict[str, Kept]:
    """What the protocol keeps of what could be had without a model, by its name."""
    scored: dict[str, Protocol] = {}
    for batch in _prepared(batches, 0, device):
        outputs = protocol.baselines(batch)
        if not outputs:
            break
        for name, output in outputs.items():
            scored.setdefault(name, protocol.another()).add(output, batch["target"], batch)
    return {name: each.take() for name, each in scored.items()}


def picture(game: Game, batches: Iterable[RawBatch], device: torch.device) -> Pixels:
    """The previews as one picture, uint8 `[H, W, 3]`: a row for each image, or a sheet of what was made of noise."""
    shown = rows(game, batches, device)
    if not game.noise:
        return lay(shown)
    return lay(wrap([made for made, *_ in shown], math.ceil(len(shown) ** 0.5)))


@torch.no_grad()
def rows(game: Game, batches: Iterable[RawBatch], device: torch.device) -> list[list[Pixels]]:
    """The previews of each image, uint8 `[H, W, 3]`, in the game's order; of one played with noise the output alone."""
    made: list[list[Pixels]] = []
    for batch in _typed(game, _prepared(batches, game.noise, device)):
        with naming(game, [batch]):
            shown = game.previews(batch)
            chosen = [shown["output"]] if game.noise else list(shown.values())
            made += map(list, zip(*map(_pixels, chosen), strict=True))
    return made


def _prepared(batches: Iterable[RawBatch], width: int, device: torch.device) -> Iterator[Batch]:
    first = 0
    for raw in batches:
        length = len(next(iter(raw.values())))
        drawn: Mapping[str, object] = {"noise": noise.draw(NOISE_SEED, length, width, first)} if width else {}
        yield prepare({**raw, **drawn}, device, torch.contiguous_format)  # type: ignore[dict-item]
        first += length


def _typed(game: Game, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches in the precision that the generators are kept in."""
    kind = next(game.generators.parameters()).dtype
    for batch in batches:
        yield {name: value.to(kind) if value.is_floating_point() else value for name, value in batch.items()}


def _pixels(batch: Tensor) -> list[Pixels]:
    """Each picture of `[N, C, H, W]` as RGB."""
    arrays = to_levels(batch).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [images.to_pixels(images.from_pixels(array), 3) for array in arrays]
