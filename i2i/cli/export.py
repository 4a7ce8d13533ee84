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

    described = api.export(run)
    if as_json:
        shown = {path.name: description.model_dump(mode="json") for path, description in described.items()}
        click.echo(json.dumps(shown, indent=2))
        return
    for path, description in described.items():
        parity = description.parity
        click.echo(
            f"{path}: differs from the network by at most {parity.largest} of 255, "
            f"in {parity.differing:.2%} of the values of {parity.cases} images"
        )
    noise = next(iter(described.values())).kind == "noise"
    click.echo(f"Next:\n  i2i generate {run}" if noise else f"Next:\n  i2i translate PICTURE -m {run}")
