"""What `i2i eval` and `i2i compare` share: their options, and how figures are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from i2i.plugin import Kind

if TYPE_CHECKING:
    from i2i.evaluated import Figure
    from i2i.evaluating.opened import Size

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MOST = 65_536  # pixels along a side


def _size(text: str) -> Size:
    if text == "native":
        return "native"
    if not text.isdecimal() or not 8 <= int(text) <= _MOST:
        raise click.BadParameter(f"'{text}': give pixels from 8 to {_MOST}, or native.")
    return int(text)


def _metrics(text: str) -> tuple[str, ...]:
    return tuple(name for each in text.split(",") if (name := each.strip()))


def _weights(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Path]:
    found = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not equals or not name or not file:
            raise click.BadParameter(f"'{text}': give NAME=FILE, such as lpips=alexnet.pth.")
        found[name] = Path(file)
    return found


_OPTIONS = (
    click.option("--data", multiple=True, type=click.Path(), metavar="DIR",
                 help="Images as in training, or the name of an embedded set; of those of a folder its test images, if "
                      "it has some. Unpaired: one with A and B, or twice.  [default: the run's own test images]"),
    click.option("--kind", type=click.Choice(get_args(Kind)),
                 help="What the images are.  [default: what the run was trained on, or what they look like]"),
    click.option("--size", type=_size, metavar="N|native",
                 help="Pixels along the side of the square to which images are brought; native: as they are.  "
                      "[default: as in training]"),
    click.option("--metrics", type=_metrics, default="", metavar="NAME,...",
                 help="Which to tell; +NAME adds one to the usual ones."),
    click.option("--weights", multiple=True, callback=_weights, metavar="NAME=FILE",
                 help="Weights of a network that a metric looks through: lpips=FILE, inception=FILE."),
    click.option("--images", type=click.IntRange(1), metavar="N", help="At most so many, evenly spaced."),
    click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True,
                 help="Of the noise that images are made from, and of the intervals."),
    click.option("--direction", type=click.Choice(["AtoB", "BtoA"]), help="Which way, of what has two."),
    click.option("--scale", type=click.IntRange(1, 8), metavar="N",
                 help="How many times as large as their inputs finished images are."),
    click.option("--device", default="auto", show_default=True, metavar="NAME",
                 help="Where to run; `i2i doctor` lists them."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else."),
)  # fmt: skip


def options(command: _Command) -> _Command:
    """Gives a command what decides which images are scored, how, and by what."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def shown(figure: Figure, *, sign: bool = False) -> str:
    """A figure with its interval: `18.3 (17.5 to 19.1)`."""
    form = "+.4g" if sign else ".4g"
    interval = "" if figure.low is None or figure.high is None else f" ({figure.low:{form}} to {figure.high:{form}})"
    return f"{figure.value:{form}}{interval}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table with lines on a terminal, and columns of text elsewhere."""
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=box.SIMPLE_HEAD)
        for head in heads:
            drawn.add_column(Text(head))
        for row in rows:
            drawn.add_row(*map(Text, row))
        Console(highlight=False).print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
