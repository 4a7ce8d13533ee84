"""How much there is to do, which is how a model is best opened."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from i2i.errors import ImageError
from i2i.runtime.devices.device import usable_cores
from i2i.runtime.folder.jobs import Job
from i2i.runtime.strips.large import is_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from i2i.runtime.folder.inputs import Refused


def little(tasks: Sequence[Job | Refused], max_pixels: int, scale: int = 1) -> bool:
    """Whether to open the model takes longer than all the rest: for one image, and not a very large one."""
    if any(isinstance(task, Job) and task.kind != "image" for task in tasks):
        return False
    large = False
    for task in tasks[:1]:
        if isinstance(task, Job) and isinstance(task.source, Path):
            with suppress(ImageError):  # which is then its result
                large = is_large(task.source, max_pixels=max_pixels, scale=scale)
    return len(tasks) < 2 and not large


def many(tasks: Sequence[Job | Refused]) -> bool:
    """Whether there are so many images that a core does better to have some to itself than to share each of them.

    Those count that an earlier call made: a call that goes on is to compute as the one before.
    """
    return sum(isinstance(task, Job) and task.kind == "image" for task in tasks) >= 2 * usable_cores()
