"""`i2i plugins`: which there are, a new one to begin from, and whether one does what is asked of it."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import click

from i2i import plugin as plugins
from i2i.cli.plugins_check import command as check
from i2i.errors import PluginError


@click.group(invoke_without_command=True)
@click.option("--build", is_flag=True, help="Build each one's networks too, with the settings of its tests.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, build: bool, as_json: bool) -> None:
    """List the installed architectures, and say of a broken one why; begin a new one, or check one."""
    if context.invoked_subcommand is not None:
        return
    entries = plugins.catalogue()
    rows = [_row(entry, entries, build=build) for entry in entries]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    shown = [(row["name"], f"{row['distribution']} {row['version']}", row["kind"], row["state"]) for row in rows]
    widths = [max((len(line[column]) for line in shown), default=0) for column in range(4)]
    for row, line in zip(rows, shown, strict=True):
        padded = "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        click.echo(f"{padded}  {row['summary'] or row['error']}")


command.add_command(check)


@command.command(
    epilog="""\b
    i2i plugins new mine
    pip install -e ./mine
    i2i train mine --steps 50
    """
)
@click.argument("name")
@click.option("--like", default="pix2pix", show_default=True, metavar="PLUGIN", help="The one of i2i's to begin as.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where to write it.  [default: NAME]")
def new(name: str, like: str, out: Path | None) -> None:
    """Write a plugin called NAME, which installs, trains, exports and passes its test as it is."""
    from i2i.scaffold import create

    made = create(name, like, Path(name) if out is None else out)
    click.echo(f"{made.folder}: a plugin that plays as {like} does, until you change it")
    for path in made.files:
        click.echo(f"  {path.as_posix()}")
    place = made.folder if made.folder.is_absolute() else f".{os.sep}{made.folder}"
    click.echo("Next:")
    for words in (["pip", "install", "-e", str(place)], ["i2i", "train", name], ["i2i", "plugins", "check", name]):
        click.echo(f"  {shlex.join(words)}")


def _row(entry: plugins.Entry, entries: list[plugins.Entry], *, build: bool) -> dict[str, str]:
    row = {"name": entry.name, "distribution": entry.distribution, "version": entry.version}
    unknown = {**row, "kind": "?", "summary": "", "paper": ""}
    try:
        manifest = entry.load()
        manifest.check_game()
        if build:
            _build(entry)
    except PluginError as error:
        return {**unknown, "state": "not loaded" if entry.refused else "broken", "error": str(error)}
    known = {**row, "kind": manifest.kind, "paper": manifest.paper}
    try:
        plugins.find(entry.name, entries)
    except PluginError as error:
        return {**known, "state": "twice", "summary": "", "error": str(error)}
    return {**known, "state": "ok", "summary": manifest.summary, "error": ""}


def _build(entry: plugins.Entry) -> None:
    """Builds the game of a plugin on drawn data; raises PluginError, naming the cause and its place."""
    from i2i.testing import Check, Subject, verdicts

    def build(subject: Subject) -> None:
        subject.plain.build()

    building = Check("build", "its game can be built", build)
    (verdict,) = verdicts(Subject(f"{entry.distribution}:{entry.name}"), [building])
    if verdict.state == "passed":
        return
    place = f" ({verdict.where})" if verdict.where else ""
    whose = f"plugin '{entry.name}' of {entry.distribution} {entry.version} cannot be built"
    problem = verdict.problem.removeprefix(f"{whose}: ")
    raise PluginError(f"{whose}: {problem}{place}", verdict.hint or f"`i2i plugins check {entry.name}` tells more.")
