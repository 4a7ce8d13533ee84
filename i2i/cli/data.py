"""`i2i data`: which sets there are, what one looks like, and whether a folder can be trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from i2i.errors import DataError, did_you_mean
from i2i.plugin import Kind

if TYPE_CHECKING:
    from i2i.data import Embedded
    from i2i.data.survey import Range, Side, Survey

FOLDER = click.Path(path_type=Path)
KINDS = click.Choice(get_args(Kind))


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List the embedded sets, show one, or check a folder before training."""
    if context.invoked_subcommand is not None:
        return
    from i2i.data import EMBEDDED

    rows = [_row(each) for each in EMBEDDED.values()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.secho(f"{row['name']}: {row['summary']}", bold=True)
        for label in ("size", "kinds", "source", "licence", "state"):
            value = row[label]
            click.echo(f"  {label + ':':<9}{', '.join(value) if isinstance(value, list) else value}")


@command.command()
@click.argument("name")
@click.option("--kind", type=KINDS, help="As what to show it.  [default: what the set is meant for]")
@click.option("-o", "--output", type=FOLDER, metavar="FILE", help="Where to write it.  [default: NAME.png]")
def show(name: str, kind: Kind | None, output: Path | None) -> None:
    """Write a contact sheet of the embedded set NAME, or of a folder."""
    from i2i import images
    from i2i.cli.progress import Display
    from i2i.data import EMBEDDED
    from i2i.data.layouts import guess
    from i2i.data.show import contact_sheet

    place = output or Path(f"{Path(name).resolve().name}.png")
    images.check_writable(place)
    if name in EMBEDDED:
        kind = kind or EMBEDDED[name].kinds[0]
    elif Path(name).is_dir():
        kind = kind or guess(Path(name))
    else:
        raise DataError(
            f"{name}: no embedded set and no folder of that name{did_you_mean(name, EMBEDDED)}",
            f"Embedded sets: {', '.join(EMBEDDED)}.",
        )
    with Display() as display:
        picture, splits = contact_sheet(name, kind, display.prepared)
    images.write(images.from_pixels(picture), place)
    click.echo(f"{splits.description}\n{place}")


@command.command()
@click.argument("folder", type=FOLDER)
@click.argument("second", type=FOLDER, required=False)
@click.option("--kind", type=KINDS, help="What it is meant for.  [default: what it looks like]")
@click.option("--links", is_flag=True, help="Follow symbolic links that lead out of it, as data.links does.")
@click.option("--max-bytes", type=click.IntRange(1), metavar="N", help="Refuse larger files.  [default: 536870912]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    folder: Path, second: Path | None, kind: Kind | None, links: bool, max_bytes: int | None, as_json: bool
) -> int:
    """Look at a FOLDER of images before training, or at two of unpaired ones.

    Exits with 1 where training would refuse it.
    """
    from i2i.cli.progress import Display
    from i2i.data.survey import survey
    from i2i.images import MAX_BYTES

    with Display() as display:
        seen = survey(folder, second, kind, display.prepared, links=links, max_bytes=max_bytes or MAX_BYTES)
    if as_json:
        click.echo(json.dumps(asdict(seen), indent=2))
    else:
        _print(seen, guessed=kind is None)
    return 1 if seen.problems else 0


def _row(embedded: Embedded) -> dict[str, str | list[str]]:
    missing, further = embedded.missing(), embedded.further()
    if missing:
        state = f"not installed: {embedded.install}"
    else:
        state = f"installed, more of it with: {embedded.install}" if further else "installed"
    return {
        "name": embedded.name,
        "summary": embedded.summary,
        "size": embedded.size,
        "kinds": list(embedded.kinds),
        "source": embedded.source,
        "licence": embedded.licence,
        "state": state,
        "missing": missing,
        "further": further,
    }


def _print(seen: Survey, *, guessed: bool) -> None:
    told = f"{seen.kind} data{': ' if seen.layout else ''}{seen.layout}"
    click.echo(told + (" (a guess; --kind says what it is meant for)" if guessed else ""))
    for side in seen.sides:
        click.echo(f"  {_sentence(side)}")
    if seen.classes:
        click.echo(f"  to train on of each class: {_counts(seen.classes)}")
    for warning in seen.warnings:
        click.secho("warning: ", fg="yellow", nl=False)
        click.echo(warning)
    for problem in seen.problems:
        click.secho("error: ", fg="red", bold=True, nl=False)
        click.echo(problem)
    click.echo("Training would refuse it." if seen.problems else "It can be trained on.")


def _sentence(side: Side) -> str:
    size = f"all {side.width.smallest} x {side.height.smallest}"
    if side.unusual:
        size = f"width {_range(side.width)}; height {_range(side.height)}; {side.unusual} not of the commonest size"
    return f"{side.role}: {_counts(side.splits)}; {size}; {_counts(side.forms)}; {_counts(side.files)}"


def _range(pixels: Range) -> str:
    if pixels.smallest == pixels.largest:
        return str(pixels.smallest)
    return f"{pixels.smallest} to {pixels.largest}, median {pixels.median:g}"


def _counts(numbers: Mapping[str, int]) -> str:
    """`3 train, 1 test`, without what there is none of."""
    return ", ".join(f"{count} {name}" for name, count in numbers.items() if count)
