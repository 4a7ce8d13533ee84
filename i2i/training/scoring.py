"""What the best weights of a run are worth: scores with intervals, beside what there is without a model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from i2i.data import evaluation
from i2i.evaluated import MODEL, About, Evaluated, Figure
from i2i.metrics.kept import differences
from i2i.metrics.summary import abouts, extremes, figures, lines
from i2i.training.evaluation import SCORED, Seen, baselines, rows, see

if TYPE_CHECKING:
    from i2i.config import DataConfig
    from i2i.data import Samples
    from i2i.games.game import Game
    from i2i.images import Pixels
    from i2i.metrics.protocol import Protocol
    from i2i.plugin import Kind


@dataclass(frozen=True)
class Assessed:
    """What was found of a game's outputs, and the pictures of the worst and the best by the names of their images."""

    evaluated: Evaluated
    pictures: Mapping[str, Sequence[Pixels]]


def assess(
    game: Game, protocol: Protocol, samples: Samples, told: Mapping[str, str], threads: int, device: torch.device
) -> Assessed:
    """Scores a deployed game and the baselines on all of `samples`.

    told: what of `Evaluated` is known before: `model`, `data`, `split` and `size`.
    """

    def seen() -> Seen:
        return see(game, protocol, evaluation(samples, batch=SCORED, threads=threads), device)

    found = seen()
    beside = baselines(protocol, evaluation(samples, batch=SCORED, threads=threads), device)
    scores = {name: figures(kept.scored()) for name, kept in {MODEL: found.kept, **beside}.items()}
    scores[MODEL] |= {name: Figure(value=float(values.mean())) for name, values in found.measured.items()}
    # What is made of noise is no image's: there is no worst and no best.
    by, worst, best = ("", [], []) if game.noise else extremes(protocol.metrics, found.kept)
    names = distinct(samples.names)
    evaluated = Evaluated(
        **told,
        images=len(samples),
        metrics=abouts(protocol.metrics, found.kept) | {name: About(key=name) for name in found.measured},
        scores=scores,
        gains={name: figures(differences(kept, found.kept)) for name, kept in beside.items()},
        by=by,
        each=lines(names, {**found.kept.each, **found.measured}),
        worst=tuple(names[i] for i in worst),
        best=tuple(names[i] for i in best),
    )
    return Assessed(evaluated, {names[i]: _row(game, samples, i, device) for i in dict.fromkeys([*worst, *best])})


def plain(evaluated: Evaluated) -> dict[str, object]:
    """The scores alone, as `run.json` keeps them."""
    values = {name: {key: each.value for key, each in scores.items()} for name, scores in evaluated.scores.items()}
    return {
        "split": evaluated.split,
        "images": evaluated.images,
        "model": values.pop(MODEL),
        "baselines": values,
    }


def sized(kind: Kind, config: DataConfig, side: int | None = None) -> str:
    """At which size images of this kind are scored, in words; side: of the middle square of what is upscaled."""
    if kind == "upscaled":
        return "whole images" if side is None else f"the middle {side} x {side} pixels"
    square = f"{config.size} x {config.size} pixels"
    if config.fit == "stretch":
        return square
    if config.fit == "scale":
        return f"the middle {square} of images with a shorter side of {config.size}"
    return f"the middle {square}"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, numbered from the second image on that has the same one."""
    met: Counter[str] = Counter()
    said = []
    for name in (os.fsencode(given).decode(errors="backslashreplace") for given in names):  # file names may be no text
        met[name] += 1
        said.append(name if met[name] == 1 else f"{name} ({met[name]})")
    return said


def _row(game: Game, samples: Samples, index: int, device: torch.device) -> Sequence[Pixels]:
    alone = {name: np.array(value)[None] for name, value in samples.evaluating(index).items()}
    return rows(game, [alone], device)[0]
