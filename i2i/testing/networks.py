"""Checks of a game as it is built: whose its networks are, and which images they take and make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from i2i import noise
from i2i.errors import ConfigError, DataError
from i2i.games.game import Batch, Game
from i2i.metrics.protocol import protocol
from i2i.testing.check import ConformanceError, some
from i2i.testing.subject import Subject, Tree
from i2i.training.average import Average
from i2i.training.evaluation import NOISE_SEED, evaluate
from i2i.training.fault import called, naming, told

SIZES: Final = (32, 48, 64, 96, 128)
CHANNELS: Final = ((1, 1), (1, 3), (3, 1), (3, 3))
WITH_ALPHA: Final = (4, 4)


def check_players(subject: Subject) -> None:
    """Every parameter has a shape and is of one network of one player."""
    game = subject.plain.build()
    if not isinstance(game, Game):
        raise ConformanceError(
            f"{subject.manifest.game} gives a {type(game).__name__}, not a game", "Derive from i2i.games.game.Game."
        )
    for player in ("generators", "discriminators"):
        if not isinstance(getattr(game, player, None), nn.ModuleDict):
            raise ConformanceError(f"{called(game)}: no {player}", f"Assign self.{player} = nn.ModuleDict({{...}}).")
    if not list(game.generators.parameters()):
        raise ConformanceError(f"{called(game)}: the generators have nothing to train", "Give them parameters.")
    subject.plain.train(game)  # refuses what has no shape
    owned = {id(parameter): player for player in ("discriminators", "generators") for parameter in _of(game, player)}
    ownerless = [name for name, parameter in game.named_parameters() if id(parameter) not in owned]
    if ownerless:
        raise ConformanceError(
            f"{called(game)}: of neither player, so never trained: {some(ownerless)}",
            "Put what is trained into generators or discriminators. Keep a frozen network in a tuple: "
            "it is then no part of the game, and of no checkpoint.",
        )
    generating = {id(parameter) for parameter in _of(game, "generators")}
    shared = [name for name, each in game.discriminators.named_parameters() if id(each) in generating]
    if shared:
        raise ConformanceError(
            f"{called(game)}: of both players, who would train it against each other: {some(shared)}",
            "Give each player networks of its own.",
        )


def check_sizes(subject: Subject) -> None:
    """The game is built and played at every size that the configuration accepts."""
    for size in sorted({*SIZES, subject.plain.config.data.size}):
        _try(subject, {"data": {"size": size}}, f"data.size {size}", "Refuse it in the configuration")


def check_channels(subject: Subject) -> None:
    """The game is built and played with every number of channels that the configuration accepts."""
    data, kind = subject.plain.config.data, subject.manifest.kind
    pairs = {*CHANNELS, WITH_ALPHA} if kind == "paired" else {*CHANNELS}  # others are scored in grey or colour
    if "input" not in subject.plain.raw[0]:
        pairs = {(data.input_channels, made) for _, made in pairs}
    for given, made in sorted(pairs - {(data.input_channels, data.target_channels)}):
        tree = {"data": {"input_channels": given, "target_channels": made}}
        name = f"data.input_channels {given} and data.target_channels {made}"
        _try(subject, tree, name, "Take the channels from the configuration, or refuse them there")


def _try(subject: Subject, tree: Tree, name: str, remedy: str) -> None:
    """Raises ConformanceError where a configuration is accepted, and then cannot be played."""
    try:
        game = None
        scene = subject.scene(tree)
        game = scene.build()
        trainer = scene.train(game)
        trainer.play(scene.batches(trainer)[:1])
    except Exception as error:  # a plugin may raise anything
        if game is None and isinstance(error, ConfigError | DataError):
            return  # refused in time: before anything is trained
        raise ConformanceError(
            f"the configuration accepts {name}, but: {told(error)}",
            f"{remedy}: a model_validator that raises ValueError, and says what there is instead.",
        ) from error


def check_previews(subject: Subject) -> None:
    """What is shown and scored is there, of one shape, finite, and the same each time."""
    scene = subject.plain
    trainer = scene.trainer()
    game = Average(trainer.game, 0).game
    batch = with_noise(game, scene.batches(trainer)[0])
    with torch.no_grad(), naming(game, [batch]):
        shown, again, measures = game.previews(batch), game.previews(batch), game.measures(batch)
    place = f"{called(game)}.previews"
    missing = [name for name in ("output", "target") if name not in shown]
    if missing:
        raise ConformanceError(f"{place}: no {' and no '.join(missing)}, which are scored", "Give both.")
    shapes = {name: list(picture.shape) for name, picture in shown.items()}
    if shapes["output"] != shapes["target"] or any(len(shape) != 4 for shape in shapes.values()):
        raise ConformanceError(
            f"{place}: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}",
            "Pictures are [N, C, H, W], output and target of one shape.",
        )
    if "input" in shown and next(iter(shown)) != "input":
        raise ConformanceError(f"{place}: the input does not come first", "Put it before the others.")
    _check_finite(place, shown)
    changing = [name for name, picture in shown.items() if not torch.equal(picture, again[name])]
    if changing:
        raise ConformanceError(
            f"{place}: other pictures of the same batch each time: {', '.join(changing)}",
            "Draw no noise there: a batch holds it as `noise`, where the game says how much it needs.",
        )
    count = len(shown["output"])
    odd = [f"{name} {list(values.shape)}" for name, values in measures.items() if values.shape != (count,)]
    if odd:
        raise ConformanceError(f"{called(game)}.measures: {', '.join(odd)}", f"Give one figure an image, [{count}].")
    _check_finite(f"{called(game)}.measures", measures)
    evaluate(game, protocol(subject.manifest.kind, scene.config.data), scene.raw[:2], trainer.device)


def with_noise(game: Game, batch: Batch) -> Batch:
    """A batch as it is validated: with noise that is always the same, where the game takes noise."""
    if game.noise == 0:
        return batch
    some = next(iter(batch.values()))
    return {**batch, "noise": torch.from_numpy(noise.draw(NOISE_SEED, len(some), game.noise)).to(some.device)}


def _check_finite(place: str, values: Batch) -> None:
    wrong = [name for name, tensor in values.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise ConformanceError(f"{place}: not finite: {', '.join(wrong)}", "Look for a division by nothing, or a root.")


def _of(game: Game, player: str) -> Sequence[Tensor]:
    return list(getattr(game, player).parameters())
