"""`i2i report`: a run's report and its model card, built anew."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="""\b
    i2i report                       of the run that was begun last
    i2i report runs/pix2pix-001
    """
)
@click.argument("run", required=False, type=click.Path(path_type=Path))
def command(run: Path | None) -> None:
    """Build the report of RUN, one HTML file, and its model card anew.

    Both are written at the end of every training; this is for runs that were killed, and after an export or `i2i eval`.
    """
    from i2i.report import write, write_card
    from i2i.report.listing import newest
    from i2i.training.run import RUNS, Run

    opened = newest(RUNS) if run is None else Run.open(run)
    click.echo(f"Report: {write(opened)}")
    if opened.model.is_file():
        click.echo(f"Model card: {write_card(opened)}")
