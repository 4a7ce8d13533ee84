"""What a person sees of a training: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from i2i.training.observer import Observer

if TYPE_CHECKING:
    from i2i.training.checkpoint import Best

QUIET = 20.0  # seconds between lines where no bar can be drawn


class Display(Observer):
    """Draws on stderr, so that stdout holds results alone."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._total = 0
        self._score = ""
        self._last_line = time.monotonic()
        self._started = 0.0
        self._first = 0

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def said(self, message: str) -> None:
        """Prints above the bar."""
        self.console.print(message, markup=False, soft_wrap=True)

    def prepared(self, done: int, total: int, what: str) -> None:
        """Moves a bar of its own."""
        if self._task is None or self._bar.tasks[-1].description != what:
            self._task = self._bar.add_task(what, total=total, detail="")
        self._bar.update(self._task, completed=done)
        if done >= total:
            self._bar.remove_task(self._task)
            self._task = None

    def started(self, first: int, total: int) -> None:
        """Sets up the bar of the steps."""
        self._total, self._first, self._started = total, first, time.monotonic()
        self._task = self._bar.add_task("training", total=total, completed=first, detail="")

    def played(self, step: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Moves the bar, or prints a line when the last one is long ago."""
        shown = "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
        detail = f"{images_per_second:.0f} images/s  {shown}{self._score}"
        if self._task is not None:
            self._bar.update(self._task, completed=step, detail=detail)
        now = time.monotonic()
        if not self.console.is_terminal and now - self._last_line > QUIET:
            left = (now - self._started) / max(1, step - self._first) * (self._total - step)
            minutes, seconds = divmod(round(left), 60)
            self.said(f"step {step}/{self._total}  {minutes}:{seconds:02d} left  {detail}")
            self._last_line = now

    def validated(self, step: int, scores: Mapping[str, float], best: Best) -> None:
        """Keeps the newest and the best score beside the bar."""
        self._score = f"  validation {best.metric} {scores[best.metric]:.4g} (best {best.score:.4g})"

    def finished(self) -> None:
        """Removes the bar and says that the rest follows."""
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        self.said(f"trained for {time.monotonic() - self._started:.0f} s; exporting and checking the export")
