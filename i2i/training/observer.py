"""Who watches a training: the command line draws a progress bar, a program may do as it likes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i2i.training.checkpoint import Best


class Observer:
    """Is told what happens, and by default does nothing."""

    def said(self, message: str) -> None:
        """Something that a person should know."""

    def prepared(self, done: int, total: int, what: str) -> None:
        """`done` of `total` pieces of preparatory work, such as rendering the data, are done."""

    def started(self, first: int, total: int) -> None:
        """The steps numbered `first` to `total` - 1 are about to be played."""

    def played(self, step: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """`step` steps have been played; `losses` are means since the last call."""

    def validated(self, step: int, scores: Mapping[str, float], best: Best) -> None:
        """The averaged generators have been scored on the validation images; `best` is the best so far."""

    def finished(self) -> None:
        """All steps have been played; scoring and exporting follow."""
