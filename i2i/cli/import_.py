"""`i2i import`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from i2i.imported import Imported

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=PATH)
@click.option(
    "-o",
    "--out",
    type=PATH,
    metavar="NAME",
    help="NAME.onnx: the model; NAME.safetensors: weights for `i2i train --init`.  [default: FILE's name and .onnx]",
)
@click.option("--run", type=PATH, metavar="DIR", help="Make a run of it, to export variants of and to start from.")
@click.option(
    "--direction", type=click.Choice(["AtoB", "BtoA"]), help="Which way it translates: of CycleGAN's G_A AtoB."
)
@click.option("--back", type=PATH, metavar="FILE", help="Of a CycleGAN: the generator of the way back, such as G_B.")
@click.option(
    "--statistics",
    type=click.Choice(["image", "running"]),
    help="Of batch norms: each image's own, as its authors test it, or running averages, as they do with --eval.",
)
@click.option("--size", type=click.IntRange(min=8), metavar="N", help="Pixels along the side that it was trained on.")
@click.option(
    "--scale", type=click.IntRange(1, 8), metavar="N", help="Of super-resolution, where the file leaves it open."
)
@click.option("--plugin", metavar="NAME", help="As what to go on with it, where several have its network.")
@click.option("--legacy-unet", is_flag=True, help="A U-Net from before 2017-09-22: its skip connections come last.")
@click.option("--examples", type=PATH, metavar="DIR", help="Images to compare network and model on.  [default: drawn]")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def command(
    file: Path,
    out: Path | None,
    run: Path | None,
    direction: Literal["AtoB", "BtoA"] | None,
    back: Path | None,
    statistics: Literal["image", "running"] | None,
    size: int | None,
    scale: int | None,
    plugin: str | None,
    legacy_unet: bool,
    examples: Path | None,
    as_json: bool,
) -> None:
    """Make a model of a generator that another project has trained: FILE is its checkpoint.

    \b
    i2i import latest_net_G.pth -o model.onnx           pytorch-CycleGAN-and-pix2pix
    i2i import latest_net_G_A.pth --back latest_net_G_B.pth --run runs/imported
    i2i import RRDBNet_x4.pth -o model.onnx             BasicSR, ESRGAN
    i2i import FILE.pth -o imported.safetensors         then: i2i train PLUGIN --init imported.safetensors
    """
    from i2i import api

    made = api.import_checkpoint(
        file,
        out,
        run=run,
        back=back,
        direction=direction,
        statistics=statistics,
        size=size,
        scale=scale,
        plugin=plugin,
        legacy_unet=legacy_unet,
        examples=examples,
    )
    if as_json:
        shown = {
            "plugin": made.plugin,
            "source": made.source,
            "notes": list(made.notes),
            "models": {str(path): described.model_dump(mode="json") for path, described in made.models.items()},
            "weights": None if made.weights is None else str(made.weights),
            "run": None if made.run is None else str(made.run),
        }
        click.echo(json.dumps(shown, indent=2))
        return
    _tell(made)


def _tell(made: Imported) -> None:
    from i2i.cli.export import checked

    click.echo(made.source)
    for note in made.notes:
        click.echo(f"  {note}")
    for path, description in made.models.items():
        click.echo(f"{path}: {checked(description)}")
    if made.weights is not None:
        click.echo(f"{made.weights}: the generator's weights, to start from")
    start = made.weights or made.run
    click.echo("Next:")
    if made.models:
        click.echo("  " + shlex.join(["i2i", "translate", "PICTURE", "-m", str(next(iter(made.models)))]))
    if start is not None:
        click.echo("  " + shlex.join(["i2i", "train", made.plugin, "--init", str(start), "--data", "DIR"]))
