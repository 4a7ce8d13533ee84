"""Checks that a game can be repeated: by its seed, and from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from i2i.games.game import Batch
from i2i.testing.check import ConformanceError
from i2i.testing.subject import Scene, Subject
from i2i.training import checkpoint as checkpoints
from i2i.training.fault import called
from i2i.training.trainer import Trainer

Tensors = Mapping[str, Tensor]


def check_seed(subject: Subject) -> None:
    """The seed decides the weights and all that follows, bit for bit; another one decides otherwise."""
    scene = subject.plain
    name = called(scene.build())
    one, other = _course(scene), _course(scene)
    for what, mine, theirs in zip(("first weights", "losses", "weights after two steps"), one, other, strict=True):
        if differing := _differing(mine, theirs):
            raise ConformanceError(
                f"{name}: two games of one seed differ in their {what}: {differing[0]}",
                "Draw from torch alone, whose seed the trainer sets; no module of random numbers beside it.",
            )
    built, played = [], []
    for seed in (1, 2):
        trainer = scene.trainer(seed)
        built.append(torch.get_rng_state())
        trainer.play(scene.batches(trainer)[:1])
        played.append(torch.get_rng_state())
    for when, states in (("when it is built", built), ("in a step", played)):
        if torch.equal(*states):
            raise ConformanceError(
                f"{name}: sets torch's seed itself {when}, so that no other has an effect", "Leave it alone."
            )


def check_checkpoint(subject: Subject) -> None:
    """A game that goes on from a checkpoint is, bit for bit, the one that never stopped."""
    scene = subject.plain
    straight = scene.trainer()
    batches = scene.batches(straight)
    for batch in batches[:2]:
        straight.play([batch])
    with TemporaryDirectory(dir=subject.folder) as folder:
        saved = checkpoints.save(straight, None, Path(folder))
        one = _step(straight, batches[2], Path(folder) / "straight")
        resumed = scene.trainer(seed=1)
        checkpoints.restore(resumed, saved)
        other = _step(resumed, batches[2], Path(folder) / "resumed")
    if differing := _differing(one, other):
        raise ConformanceError(
            f"{called(straight.game)}: goes on from a checkpoint otherwise than without: {differing[0]} differs",
            "What a game remembers from step to step has to be in a parameter or a buffer: no other is saved.",
        )


def _step(trainer: Trainer, batch: Batch, folder: Path) -> Tensors:
    """Plays a step; its losses, and all that is saved after it."""
    losses = {f"the loss {name}": loss for name, loss in trainer.play([batch]).items()}
    return {**losses, **checkpoints.save(trainer, None, folder).tensors()}


def _course(scene: Scene) -> tuple[Tensors, Tensors, Tensors]:
    """The first weights under seed 0, the losses of two steps, and the weights after these."""
    trainer = scene.trainer()
    first = _state(trainer)
    losses: dict[str, Tensor] = {}
    for batch in scene.batches(trainer)[:2]:
        losses |= {f"{name} of step {trainer.step}": loss for name, loss in trainer.play([batch]).items()}
    return first, losses, _state(trainer)


def _state(trainer: Trainer) -> Tensors:
    return {name: tensor.clone() for name, tensor in trainer.game.state_dict().items()}


def _differing(one: Tensors, other: Tensors) -> list[str]:
    """The names that only one has, or of which both have different values."""
    return sorted(
        (one.keys() ^ other.keys())
        | {name for name in one.keys() & other.keys() if not torch.equal(one[name], other[name])}
    )
