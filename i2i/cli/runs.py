"""`i2i runs`: what has been trained, how far, and how good it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command(
    epilog="""\b
    i2i runs
    i2i runs elsewhere/ --sort score
    """
)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--sort", type=click.Choice(["time", "score", "name"]), default="time", show_default=True,
              help="By when they were begun, by their scores within each metric, or by name.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else.")
def command(folder: Path | None, sort: str, as_json: bool) -> None:
    """List the runs in DIR, by default `runs`: plugin, state, steps, length, and scores.

    The first score is of the best validation, the second of the test images.
    """
    from i2i.report.listing import listed
    from i2i.training.run import RUNS

    root = RUNS if folder is None else folder
    found, damaged = listed(root, sort)
    if as_json:
        click.echo(json.dumps({"runs": [asdict(row) for row in found], "damaged": damaged}, indent=2))
        return
    for sentence in damaged:
        click.echo(sentence, err=True)
    if not found:
        click.echo(f"no runs in {root}/; train one: i2i train pix2pix", err=True)
        return
    rows: list[tuple[str, ...]] = [("name", "plugin", "state", "steps", "length", "validation", "test", "begun")]
    rows += [row.shown() for row in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for each in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(each, widths, strict=True)).rstrip())
