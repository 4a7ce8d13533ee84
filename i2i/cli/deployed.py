"""What the commands that run an exported model share: which model is meant, and a bar on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from i2i.artifact import Kind


def model_or_newest(given: Path | None, kind: Kind) -> Path:
    """The model that was given, or that of the newest run with a model of `kind`, which is then said on stderr."""
    if given is None:
        from i2i.training.run import RUNS, newest_model

        given = newest_model(RUNS, kind)
        click.echo(f"model: {given}", err=True)
    return given


@contextmanager
def progress(verb: str, images: int) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """How to advance by an image and how to say a line on stderr; with a bar on a terminal, for more than one image."""
    if images < 2 or not sys.stderr.isatty():
        yield (lambda: None), (lambda text: click.echo(text, err=True))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn(verb), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=images)
        yield (
            lambda: bar.advance(task),
            lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True),
        )
