"""What goes wrong inside a game, told by the name of the game, the place in its code, and what its batch holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn.parameter import is_lazy

from i2i.errors import I2IError, TrainingError
from i2i.games.game import Batch, Export, Game, Match, NoiseExport
from i2i.plugin import STRICT, innermost, strict


@contextmanager
def naming(game: Game, batches: Sequence[Batch] = ()) -> Iterator[None]:
    """Makes a TrainingError of whatever the game's code raises but I2IError, for want of memory, or being strict.

    batches: what the game is given there, of which the last one is told.
    """
    try:
        yield
    except (I2IError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a plugin may raise anything
        if strict():
            raise
        where = place(error, type(game).__module__.partition(".")[0])
        held = f"; the batch holds {_held(batches[-1])}" if batches else ""
        remedy = "Compare it with what the networks take: `data` and `game` in the configuration. " if batches else ""
        raise TrainingError(
            f"{called(game)}{f', {where}' if where else ''}: {told(error)}{held}",
            f"{remedy}{STRICT}=1 shows the whole traceback.",
        ) from error


def exported(game: Game) -> Mapping[str, Export | NoiseExport]:
    """What the game exports; raises TrainingError where it cannot say, or has nothing to deploy."""
    with naming(game):
        exports = dict(game.exports())
    if not exports:
        raise TrainingError(f"{called(game)}.exports: nothing", "Name the generators that are to be deployed.")
    return exports


def called(game: Game) -> str:
    """The game's class with its module, which names the plugin: `i2i_pix2pix.game.Pix2Pix`."""
    return f"{type(game).__module__}.{type(game).__qualname__}"


def told(error: BaseException) -> str:
    """What an exception says: of an I2IError its message, of another one its type and the first line."""
    if isinstance(error, I2IError):
        return error.message
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def place(error: BaseException, package: str) -> str | None:
    """The innermost line of `package` that the exception went through, such as `i2i_mine/game.py:31`, if any."""
    found = innermost(error, package)
    if found is None:
        return None
    path = Path(found[0])
    above = [index for index, part in enumerate(path.parts) if part == package]
    below = path.parts[above[-1] :] if above else [path.name]  # a checkout may have the package's name, too
    return f"{'/'.join(below)}:{found[1]}"


def check_shaped(game: Game) -> None:
    """Raises TrainingError where a lazy layer has not seen its input, and so has nothing to train yet."""
    unshaped = [name for name, parameter in game.named_parameters() if is_lazy(parameter)]
    if unshaped:
        raise TrainingError(
            f"{called(game)}: no shape yet: {', '.join(unshaped[:3])}{' and others' if len(unshaped) > 3 else ''}",
            "Lazy layers take their shape from what they see first: run them once, in the game's constructor.",
        )


def check_match(game: Game, batch: Batch, number: int, match: Match) -> None:
    """Raises TrainingError where real and fake are not of one shape; arithmetic would broadcast them in silence."""
    if match.real.shape != match.fake.shape:
        raise TrainingError(
            f"{called(game)}: match {number} sets real {list(match.real.shape)} against fake {list(match.fake.shape)}; "
            f"the batch holds {_held(batch)}",
            "Both are of one shape: compare data.size, data.scale and the channels with what the generator makes.",
        )


def _held(batch: Batch) -> str:
    return ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in batch.items()) or "nothing"
