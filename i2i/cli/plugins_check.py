"""`i2i plugins check`: whether a plugin does what i2i asks of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from i2i import plugin as plugins
from i2i.config import parse_assignment

if TYPE_CHECKING:
    from i2i.testing import Verdict

_COLOURS: Final = {"passed": "green", "failed": "red", "not tried": "yellow"}
_WIDTH: Final = max(map(len, _COLOURS))


@click.command("check")
@click.argument("name")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One key, such as game.norm=none.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, assignments: tuple[str, ...], as_json: bool) -> int:
    """Check that the plugin called NAME does what i2i asks of every plugin.

    It is built, trained, resumed and exported, with the `small` settings of its manifest and on images that are drawn
    for it: half a minute or so. Exits with 1 where it fails. The same checks are i2i.testing.CHECKS, for its own tests.
    """
    entry = plugins.find(name)
    layers = [parse_assignment(text) for text in assignments]
    from i2i.testing import CHECKS, Subject, verdicts

    if not as_json:
        click.echo(f"plugin '{entry.name}' of {entry.distribution} {entry.version}")
    width = max(len(check.name) for check in CHECKS)
    said = []
    for verdict in verdicts(Subject(name, layers=layers)):
        said.append(verdict)
        if not as_json:
            _show(verdict, width)
    failed = sum(verdict.state == "failed" for verdict in said)
    if as_json:
        about = {"plugin": entry.name, "distribution": entry.distribution, "version": entry.version}
        click.echo(json.dumps({**about, "conforms": not failed, "checks": [asdict(each) for each in said]}, indent=2))
    else:
        click.echo(_sum(said))
    return 1 if failed else 0


def _show(verdict: Verdict, width: int) -> None:
    click.secho(f"  {verdict.state:{_WIDTH}}", fg=_COLOURS[verdict.state], nl=False)
    click.echo(f"  {verdict.check:{width}}  {verdict.problem if verdict.state == 'not tried' else verdict.says}")
    if verdict.state == "failed":
        problem = f"{verdict.where}: {verdict.problem}" if verdict.where else verdict.problem
        for line in (*problem.splitlines(), *verdict.hint.splitlines()):
            click.echo(f"{'':{_WIDTH + width + 6}}{line}")


def _sum(said: Sequence[Verdict]) -> str:
    failed, untried = (sum(verdict.state == state for verdict in said) for state in ("failed", "not tried"))
    if not failed:
        seconds = sum(verdict.seconds for verdict in said)
        return f"It does what i2i asks of a plugin: {len(said)} checks passed in {seconds:.0f} s."
    rest = f", {untried} could not be tried" if untried else ""
    return f"It does not do what i2i asks of a plugin: {failed} of {len(said)} checks failed{rest}."
