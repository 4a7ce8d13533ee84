"""The checkpoint that all processes of a training go on from: the same one, whatever each sees of a shared disk."""

from __future__ import annotations

from pathlib import Path

from i2i.errors import RunError
from i2i.training.saved import Checkpoint, newest_whole, place, verified
from i2i.training.world import World


def newest_agreed(folder: Path, world: World) -> tuple[Checkpoint | None, list[str]]:
    """What `newest_whole` finds in the first process; the others open exactly that one.

    Raises RunError where one of the others does not see it, or another one in its place.
    """
    found, passed = newest_whole(folder) if world.first else (None, [])
    if world.size == 1:
        return found, passed
    told = world.tell([None if found is None else [found.step, found.digest], passed])
    if world.first or told[0] is None:
        return found, told[1]
    step, digest = told[0]
    path = place(folder, step)
    hint = "The runs' folder has to be the same one for all processes; wait until all machines see it, and go on."
    try:
        own = verified(path)
    except RunError as error:
        raise RunError(
            f"process {world.rank} of {world.size} cannot use what the first one goes on from: {error.message}", hint
        ) from error
    if (own.step, own.digest) != (step, digest):
        raise RunError(f"{path}: process {world.rank} of {world.size} sees another checkpoint than the first one", hint)
    return own, told[1]
