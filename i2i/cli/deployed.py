"""What the commands that run an exported model share: which model is meant, a bar on a terminal, and how they end."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from i2i.cli import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from rich.progress import Task

    from i2i.artifact import Kind

_TERMINATED = 128 + signal.SIGTERM  # what shells report


class Advance(Protocol):
    """By one image, or to the number of those that are done."""

    def __call__(self, done: int | None = None) -> None:
        """Called when an image is done, or `done` of them."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM; it ends as after Ctrl-C, with the exit status of that signal."""


@contextmanager
def interruptible(say: Callable[[], str]) -> Iterator[None]:
    """Ends the process with 130 after Ctrl-C and 143 after SIGTERM, and prints what `say` then says."""

    def end(*_: object) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt as signalled:
        ended = isinstance(signalled, Terminated)
        click.echo(f"{'terminated' if ended else 'interrupted'}; {say()}", err=True)
        sys.exit(_TERMINATED if ended else INTERRUPTED)
    finally:
        signal.signal(signal.SIGTERM, before)


def model_or_newest(given: Path | None, kind: Kind) -> Path:
    """The model that was given, or that of the newest run with a model of `kind`, which is then said on stderr."""
    if given is None:
        from i2i.training.run import RUNS, newest_model

        given = newest_model(RUNS, kind)
        click.echo(f"model: {given}", err=True)
    return given


@contextmanager
def progress(verb: str, images: int) -> Iterator[tuple[Advance, Callable[[str], None]]]:
    """How to advance, and how to say a line on stderr; with a bar on a terminal, for more than one image."""
    if images < 2 or not sys.stderr.isatty():
        yield (lambda done=None: None), (lambda text: click.echo(text, err=True))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        """Images per second, over the last half minute."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.3g}/s")

    console = Console(stderr=True)
    columns = TextColumn(verb), BarColumn(), MofNCompleteColumn(), Speed(), TextColumn("left"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=images)
        yield (
            lambda done=None: bar.advance(task) if done is None else bar.update(task, completed=done),
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )
