"""`i2i export`."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the model's description as JSON.")
def command(run: Path, as_json: bool) -> None:
    """Export the best weights of RUN to RUN/model.onnx, checked against the network."""
    from i2i import api

    description = api.export(run)
    if as_json:
        click.echo(json.dumps(description.model_dump(mode="json"), indent=2))
        return
    parity = description.parity
    click.echo(
        f"{run / 'model.onnx'}: differs from the network by at most {parity.largest} of 255, "
        f"in {parity.differing:.2%} of the values of {parity.cases} images\nNext:\n  i2i translate PICTURE -m {run}"
    )
