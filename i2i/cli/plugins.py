"""`i2i plugins`."""

from __future__ import annotations

import json

import click

from i2i import plugin as plugins
from i2i.errors import PluginError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List the installed architectures, and say of a broken one why."""
    rows = [_row(entry) for entry in plugins.catalogue()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    shown = [(row["name"], f"{row['distribution']} {row['version']}", row["kind"], row["state"]) for row in rows]
    widths = [max(len(line[column]) for line in [("", "", "", ""), *shown]) for column in range(3)]
    for row, line in zip(rows, shown, strict=True):
        padded = "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=False))
        click.echo(f"{padded}  {line[3]}  {row['summary'] or row['error']}")


def _row(entry: plugins.Entry) -> dict[str, str]:
    row = {"name": entry.name, "distribution": entry.distribution, "version": entry.version}
    try:
        same = [other for other in plugins.catalogue() if other.name == entry.name]
        if len(same) > 1:
            plugins.find(entry.name)
        manifest = entry.load()
    except PluginError as error:
        return {**row, "kind": "?", "state": "broken", "summary": "", "paper": "", "error": str(error)}
    return {
        **row,
        "kind": manifest.kind,
        "state": "ok",
        "summary": manifest.summary,
        "paper": manifest.paper,
        "error": "",
    }
