"""Checks of a game as it is played: what a step changes, under what it is played, and what it cannot be played with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Final, get_args

import torch
from torch import Tensor

from i2i.config import ObjectiveName
from i2i.errors import ConfigError, TrainingError
from i2i.games.game import Batch, Game
from i2i.games.penalties import PENALTIES
from i2i.plugin import strict
from i2i.testing.check import ConformanceError, some
from i2i.testing.settings import settings
from i2i.testing.subject import Subject, Tree
from i2i.training.fault import called, told
from i2i.training.guard import BrokenStepError
from i2i.training.trainer import Trainer

_AUGMENTATIONS: Final = ("colour", "translation", "cutout")
_UNBOUNDED: Final = "Look for a logarithm, a root or a division without a bound."
PLAYED: Final[Mapping[str, Tree]] = {
    **{f"objective.name={name}": {"objective": {"name": name}} for name in get_args(ObjectiveName)},
    **{f"objective.{name}.weight=1": {"objective": {name: {"weight": 1.0}}} for name in PENALTIES},
    "objective.clip=0.01": {"objective": {"clip": 0.01}},
    "trainer.k=2 trainer.pool=3": {"trainer": {"k": 2, "pool": 3}},
    "trainer.accumulate=2": {"trainer": {"accumulate": 2}},
    "trainer.precision=bfloat16": {"trainer": {"precision": "bfloat16"}},
    "trainer.precision=float64": {"trainer": {"precision": "float64"}},
    "trainer.channels_last=false": {"trainer": {"channels_last": False}},
    "stability.spectral=true": {"stability": {"spectral": True}},
    "stability.instance_noise=0.1": {"stability": {"instance_noise": 0.1}},
    **{f"stability.augment.{name}=true": {"stability": {"augment": {name: True}}} for name in _AUGMENTATIONS},
}
"""What any game is played under, from the configuration alone."""


def check_step(subject: Subject) -> None:
    """One step changes each network of both players, each in its own player's move, and nothing else."""
    scene = subject.playing({"objective": {"clip": 0.0}})  # or the trainer changes discriminators after their move
    before_it = settings()
    trainer = scene.trainer()
    game = trainer.game
    batch, *others = scene.batches(trainer)
    given = {name: tensor.clone() for name, tensor in batch.items()}
    modes = _modes(game)
    learning = [name for name, parameter in game.named_parameters() if parameter.requires_grad]
    start = _weights(game)
    moves, idle = _moves(trainer, batch)
    end = _weights(game)
    for player, (before, after) in moves.items():
        moved = _differing(before, after)
        for name in getattr(game, player):
            own = f"{player}.{name}."
            if any(each.startswith(own) for each in learning) and not any(each.startswith(own) for each in moved):
                raise ConformanceError(
                    f"{called(game)}: a step leaves {player}.{name} as it was",
                    "What its player minimises has to depend on it: in matches, or in terms.",
                )
    for player, (before, after) in moves.items():
        if moved := [name for name in (*_differing(start, before), *_differing(after, end)) if name.startswith(player)]:
            raise ConformanceError(
                f"{called(game)}: {moved[0]} changes while its player does not move",
                "Only the trainer changes weights: matches and terms compute, and do no more.",
            )
    changed = [name for name, tensor in batch.items() if not torch.equal(tensor, given[name])]
    if changed:
        raise ConformanceError(
            f"{called(game)}: changes the batch in place: {', '.join(changed)}",
            "Both players look at it: use x * 2 instead of x.mul_(2), and no layer with inplace=True on it.",
        )
    if (after_it := settings()) != before_it:
        changes = [
            f"{name} from {before_it[name]} to {now}" for name, now in after_it.items() if now != before_it[name]
        ]
        raise ConformanceError(
            f"{called(game)}: changes a setting of torch: {', '.join(changes)}",
            "Use the context managers, such as `with torch.no_grad():`.",
        )
    other = [name for name, mode in _modes(game).items() if mode != modes[name]]
    if other:
        raise ConformanceError(
            f"{called(game)}: {other[0]} is in another mode after a step", "The trainer calls train() and eval()."
        )
    for again in others if idle else ():  # a layer may be left out at random
        idle &= _moves(trainer, again)[1]
    if idle:
        raise ConformanceError(
            f"{called(game)}: no gradient in {len(scene.raw)} steps: {some(sorted(idle))}",
            "Leave out what is never used; what is not to be trained has requires_grad False.",
        )


def check_objectives(subject: Subject) -> None:
    """Losses and weights stay finite under every objective, penalty and way to play that the configuration accepts."""
    for name, tree in PLAYED.items():
        try:
            scene = subject.playing(tree)
        except ConfigError:
            continue
        try:
            trainer = scene.trainer()
            needed = trainer.config.k * trainer.config.accumulate
            batches = scene.batches(trainer)[: 2 * needed]
            trainer.play(batches[:needed])
            trainer.play(batches[needed:])
        except BrokenStepError as error:
            raise ConformanceError(f"{name}: {told(error)}", _UNBOUNDED) from error
        except Exception as error:  # a plugin may raise anything
            raise ConformanceError(
                f"{name}: {told(error)}",
                "A discriminator has to be differentiable twice for the penalties, and a game plays by any objective: "
                "or refuse it in the configuration.",
            ) from error
        wrong = [key for key, value in _weights(trainer.game).items() if not torch.isfinite(value).all()]
        if wrong:
            raise ConformanceError(f"{name}: not finite after two steps: {wrong[0]}", _UNBOUNDED)


def check_batch(subject: Subject) -> None:
    """A batch that is not of the data's kind, or not of one size, is refused, and told with the game's name."""
    scene = subject.plain
    trainer = scene.trainer()
    right = scene.batches(trainer)[0]
    asked = _asked(scene.trainer(), right)
    for what, batch in _wrong(right, asked):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trainer.play([batch])
        except Exception as error:  # that is what is asked for, where it tells what is wrong
            if strict() or _tells(error, trainer.game):
                continue
            raise ConformanceError(
                f"{called(trainer.game)}: what it says of a batch {what} does not name it and the batch: {told(error)}",
                "Let the exception go through, of which the trainer makes a TrainingError that names both.",
            ) from error
        raise ConformanceError(
            f"{called(trainer.game)}: trains in silence on a batch {what}",
            "Set the target itself against what the generator makes of the input, without resizing either.",
        )


def _tells(error: Exception, game: Game) -> bool:
    """Whether an error is what Trainer.play promises."""
    return isinstance(error, TrainingError) and called(game) in error.message and "the batch holds" in error.message


class _Asked(Mapping[str, Tensor]):
    """A batch that notes in `names` what it is asked for."""

    def __init__(self, batch: Batch, names: set[str]) -> None:
        self._batch, self._names = batch, names

    def __getitem__(self, name: str) -> Tensor:
        self._names.add(name)
        return self._batch[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batch)

    def __len__(self) -> int:
        return len(self._batch)


def _asked(trainer: Trainer, batch: Batch) -> set[str]:
    """The names of what the game looks at in a step; afterwards the trainer is of no more use."""
    names: set[str] = set()
    game = trainer.game

    def noting(method: Callable[..., object]) -> Callable[..., object]:
        return lambda given, *rest: method(_Asked(given, names), *rest)

    for name in ("generate", "matches", "terms"):
        setattr(game, name, noting(getattr(game, name)))
    trainer.play([batch])
    return names


def _wrong(batch: Batch, asked: Set[str]) -> Iterator[tuple[str, Batch]]:
    """Batches that no data of the kind gives, each wrong in something that is asked for, and what is wrong with it."""
    images = [name for name, tensor in batch.items() if name in asked and tensor.dim() == 4]
    for name, tensor in ((name, tensor) for name, tensor in batch.items() if name in asked):
        yield f"without '{name}'", {key: value for key, value in batch.items() if key != name}
        if len(asked & batch.keys()) > 1:
            yield f"with one more '{name}' than others", {**batch, name: torch.cat([tensor, tensor[:1]])}
        if tensor.dim() == 4:
            yield f"with one more channel in '{name}'", {**batch, name: torch.cat([tensor, tensor[:, :1]], 1)}
        if name in images and len(images) > 1:  # a single one may be of any size
            yield f"with '{name}' at half its size", {**batch, name: tensor[..., ::2, ::2]}


Weights = Mapping[str, Tensor]


def _moves(trainer: Trainer, batch: Batch) -> tuple[dict[str, tuple[Weights, Weights]], set[str]]:
    """Plays one step; the weights before and after each player's move, and what had no gradient in its own."""
    before: dict[str, Weights] = {}
    after: dict[str, Weights] = {}
    idle: set[str] = set()
    hooks = []
    for player, optimizer in trainer.optimizers.items():
        hooks.append(optimizer.register_step_pre_hook(_keeping(trainer.game, before, player)))
        hooks.append(optimizer.register_step_pre_hook(_finding(trainer.game, idle, player)))
        hooks.append(optimizer.register_step_post_hook(_keeping(trainer.game, after, player)))
    trainer.play([batch])
    for hook in hooks:
        hook.remove()
    return {player: (before[player], after[player]) for player in trainer.optimizers}, idle


def _keeping(game: Game, kept: dict[str, Weights], player: str) -> Callable[..., None]:
    def keep(*_: object) -> None:
        kept[player] = _weights(game)

    return keep


def _finding(game: Game, idle: set[str], player: str) -> Callable[..., None]:
    def find(*_: object) -> None:
        for name, parameter in getattr(game, player).named_parameters():
            if parameter.requires_grad and parameter.grad is None:
                idle.add(f"{player}.{name}")

    return find


def _weights(game: Game) -> Weights:
    return {name: parameter.detach().clone() for name, parameter in game.named_parameters()}


def _differing(before: Weights, after: Weights) -> list[str]:
    return [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]


def _modes(game: Game) -> dict[str, bool]:
    return {name or type(game).__name__: module.training for name, module in game.named_modules()}
