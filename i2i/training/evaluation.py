"""Scoring and showing a game on fixed images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from i2i import images, noise
from i2i.errors import TrainingError
from i2i.games.game import Batch, Game
from i2i.images import Pixels
from i2i.metrics.metric import to_levels
from i2i.metrics.protocol import Protocol
from i2i.sheet import lay, wrap
from i2i.training.batches import RawBatch, prepare
from i2i.training.fault import naming
from i2i.training.trainer import RESERVED

NOISE_SEED = 0  # of the noise that is validated and shown: `i2i generate --seed 0` makes the same images


@torch.no_grad()
def evaluate(game: Game, protocol: Protocol, batches: Iterable[RawBatch], device: torch.device) -> dict[str, float]:
    """The protocol's scores of the game's outputs, as deployed, and the means of the game's own measures."""
    sums: dict[str, float] = defaultdict(float)
    count = 0
    for batch in _typed(game, _prepared(batches, game.noise, device)):
        with naming(game, [batch]):
            shown = game.previews(batch)
            protocol.add(shown["output"], shown["target"], batch)
            for name, values in game.measures(batch).items():
                sums[name] += float(values.double().sum())
        count += len(shown["output"])
    taken = sums.keys() & (RESERVED | protocol.metrics.keys())
    if taken:
        raise TrainingError(
            f"{type(game).__name__}.measures: the name {', '.join(sorted(taken))} is taken", "Call it something else."
        )
    return {**protocol.scores(), **{name: total / count for name, total in sums.items()}}


@torch.no_grad()
def baselines(protocol: Protocol, batches: Iterable[RawBatch], device: torch.device) -> dict[str, dict[str, float]]:
    """The scores of what could be had without a model, by its name."""
    scored: dict[str, Protocol] = {}
    for batch in _prepared(batches, 0, device):
        outputs = protocol.baselines(batch)
        if not outputs:
            break
        for name, output in outputs.items():
            scored.setdefault(name, protocol.another()).add(output, batch["target"], batch)
    return {name: each.scores() for name, each in scored.items()}


@torch.no_grad()
def picture(game: Game, batches: Iterable[RawBatch], device: torch.device) -> Pixels:
    """The previews as one picture, uint8 `[H, W, 3]`: a row for each image, or a sheet of what was made of noise."""
    made: list[Pixels] = []
    rows: list[Sequence[Pixels]] = []
    for batch in _typed(game, _prepared(batches, game.noise, device)):
        with naming(game, [batch]):
            shown = {name: _pixels(pictures) for name, pictures in game.previews(batch).items()}
            made += shown["output"]
            rows += zip(*shown.values(), strict=True)
    return lay(wrap(made, math.ceil(len(made) ** 0.5)) if game.noise else rows)


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
