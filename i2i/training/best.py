"""The weights of a run that are worth using: the averaged generators that scored best on the validation images."""

from __future__ import annotations

from torch import nn

from i2i.errors import RunError
from i2i.games.game import Game
from i2i.training import checkpoint as checkpoints
from i2i.training.average import Average
from i2i.training.checkpoint import Best, Checkpoint
from i2i.training.run import Run
from i2i.training.saved import place


def best_checkpoint(run: Run) -> tuple[Checkpoint, Best]:
    """The checkpoint that scored best; raises RunError where none has been scored, or that one is lost."""
    found = {checkpoint.step: checkpoint for checkpoint in checkpoints.find(run.checkpoints)}
    best = found[max(found)].best if found else None
    if best is not None and best.step not in found:
        raise RunError(
            f"{place(run.checkpoints, best.step)}: of the best score, and lost or damaged",
            f"Restore it; or have the newest one validated instead: i2i train --resume {run.path}",
        )
    if best is None:
        raise RunError(
            f"{run.path}: has no validated checkpoint yet",
            f"Go on with it until its first validation: i2i train --resume {run.path}",
        )
    return found[best.step], best


def lost_best(run: Run) -> Best | None:
    """The best score of a run of which the checkpoint is no longer there, as far as one sees without reading it."""
    found = {checkpoint.step: checkpoint for checkpoint in checkpoints.find(run.checkpoints)}
    best = found[max(found)].best if found else None
    return best if best is not None and best.step not in found else None


def load_best(game: Game, run: Run) -> Game:
    """`game` in its deployed form, with the run's best averaged weights; raises RunError where they do not fit.

    An imported run may have some of the generators alone; the others stay as they are.
    """
    checkpoint, _ = best_checkpoint(run)
    weights = checkpoints.averaged(checkpoint)
    deployed = Average(game, 0).game
    there = {name.partition(".")[0] for name in weights}
    partial = "imported" in run.facts()
    own = {name: network for name, network in deployed.generators.items() if name in there or not partial}
    try:
        nn.ModuleDict(own).load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{checkpoint.path}: of other networks than {run.config} describes", "Restore the run's config.yaml."
        ) from error
    return deployed
