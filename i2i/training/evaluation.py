"""Scoring and showing a game on fixed images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from i2i import images
from i2i.games.game import Game
from i2i.images import Pixels
from i2i.metrics.paired import score, to_levels
from i2i.training.batches import RawBatch, prepare


@torch.no_grad()
def evaluate(game: Game, batches: Iterable[RawBatch], device: torch.device) -> dict[str, float]:
    """Mean scores of the game's outputs, in float32 as deployed, over all images of `batches`."""
    shown = (game.previews(_prepared(raw, device)) for raw in batches)
    return _mean(score(each["output"], each["target"]) for each in shown)


@torch.no_grad()
def copying(batches: Iterable[RawBatch], device: torch.device) -> dict[str, float]:
    """Mean scores of the inputs themselves, which any translator should beat; nothing where their channels differ."""
    prepared = (_prepared(raw, device) for raw in batches)
    return _mean(
        score(each["input"], each["target"]) for each in prepared if each["input"].shape == each["target"].shape
    )


@torch.no_grad()
def grid(game: Game, raw: RawBatch, device: torch.device) -> Pixels:
    """The previews of a batch as one picture: a row for each image, a column for each kind; uint8 `[H, W, 3]`."""
    columns = [_column(shown) for shown in game.previews(_prepared(raw, device)).values()]
    return _beside(columns, axis=1)


def _prepared(raw: RawBatch, device: torch.device) -> Mapping[str, Tensor]:
    return prepare(raw, device, torch.contiguous_format)


def _mean(scores: Iterable[Mapping[str, Tensor]]) -> dict[str, float]:
    kept = list(scores)
    names = kept[0] if kept else {}
    return {name: float(torch.cat([part[name] for part in kept]).mean()) for name in names}


def _column(batch: Tensor) -> Pixels:
    pixels = to_levels(batch).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return _beside([images.to_pixels(images.from_pixels(picture), 3) for picture in pixels], axis=0)


def _beside(pictures: Sequence[Pixels], axis: int) -> Pixels:
    """Pictures in a line, two white pixels apart."""
    gap_shape = list(pictures[0].shape)
    gap_shape[axis] = 2
    gap = np.full(gap_shape, 255, np.uint8)
    spaced = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(spaced, axis)
