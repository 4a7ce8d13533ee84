"""The weights of a run that are worth using: the averaged generators that scored best on the validation images."""

from __future__ import annotations

from i2i.errors import RunError
from i2i.games.game import Game
from i2i.training import checkpoint as checkpoints
from i2i.training.average import Average
from i2i.training.checkpoint import Best, Checkpoint
from i2i.training.run import Run


def best_checkpoint(run: Run) -> tuple[Checkpoint, Best]:
    """The checkpoint that scored best; raises RunError where none has been scored."""
    found = {checkpoint.step: checkpoint for checkpoint in checkpoints.find(run.checkpoints)}
    best = found[max(found)].best if found else None
    if best is None or best.step not in found:
        raise RunError(
            f"{run.path}: has no validated checkpoint yet",
            f"Go on with it until its first validation: i2i train --resume {run.path}",
        )
    return found[best.step], best


def load_best(game: Game, run: Run) -> Game:
    """`game` in its deployed form, with the run's best averaged weights."""
    checkpoint, _ = best_checkpoint(run)
    deployed = Average(game, 0).game
    deployed.generators.load_state_dict(checkpoints.averaged(checkpoint))
    return deployed


def start_from(game: Game, run: Run) -> None:
    """Gives the generators of `game` the run's best averaged weights; raises RunError where they are other networks.

    Batch norms keep the averages that they have where the run has none, as it deploys the statistics of each image.
    """
    checkpoint, _ = best_checkpoint(run)
    weights = checkpoints.averaged(checkpoint)
    own = game.generators.state_dict()
    wanted = {name for name, _ in game.generators.named_parameters()}
    unlike = sorted(
        (wanted - weights.keys())
        | (weights.keys() - own.keys())
        | {name for name in weights.keys() & own.keys() if weights[name].shape != own[name].shape}
    )
    if unlike:
        raise RunError(
            f"{run.path}: its generators are other networks: {len(unlike)} tensors differ, such as {unlike[0]}",
            "Start from a run of the same plugin with the same `game` settings.",
        )
    game.generators.load_state_dict(weights, strict=False)
