"""`i2i export`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from i2i.artifact import Precision

if TYPE_CHECKING:
    from i2i.artifact import Description, Loss


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="fp32",
    show_default=True,
    help="fp16 and int8 are smaller, fp16 for GPUs, int8 faster on CPUs; fitted and judged on validation images.",
)
@click.option(
    "--target",
    type=click.Choice(["onnx", "triton"]),
    default="onnx",
    show_default=True,
    help="triton: also into a model repository of Triton Inference Server.",
)
@click.option(
    "-o", "--out", "repository", type=click.Path(path_type=Path), help="Triton: the repository.  [default: RUN/triton]"
)
@click.option("--name", help="Triton: of the model.  [default: the run's]")
@click.option("--version", type=click.IntRange(min=1), help="Triton: of the model.  [default: 1]")
@click.option("--json", "as_json", is_flag=True, help="Print the models' descriptions as JSON.")
def command(
    run: Path,
    precision: Precision,
    target: str,
    repository: Path | None,
    name: str | None,
    version: int | None,
    as_json: bool,
) -> None:
    """Export the best weights of RUN to RUN/model.onnx, checked against the network.

    \b
    i2i export runs/pix2pix-001 --precision int8             for CPUs: model.int8.onnx
    i2i export runs/pix2pix-001 --target triton -o models    models/pix2pix-001/1/model.onnx
    """
    from i2i import api

    if precision != "fp32":
        click.echo(f"{run}: fits {precision} to its images, which may take minutes", err=True)
    if target == "triton":
        place = run / "triton" if repository is None else repository
        described = api.export_triton(run, place, precision, name=name, version=version or 1)
    else:
        given = {"-o": repository, "--name": name, "--version": version}
        if any(value is not None for value in given.values()):
            names = ", ".join(option for option, value in given.items() if value is not None)
            raise click.UsageError(f"{names}: of --target triton; without it, the model goes into RUN.")
        described = api.export(run, precision)
    if precision == "fp32":
        name_outdated(run)
    if as_json:
        shown = {path.name: description.model_dump(mode="json") for path, description in described.items()}
        click.echo(json.dumps(shown, indent=2))
        return
    for path, description in described.items():
        click.echo(f"{path}: {checked(description)}")
        if description.loss is not None:
            click.echo(f"  {_lost(path, description.precision, description.loss)}")
    if target == "triton":
        click.echo(f"Next:\n  tritonserver --model-repository {place.resolve()}")
        return
    first, description = next(iter(described.items()))
    model = run if precision == "fp32" else first
    noise = description.kind == "noise"
    click.echo(f"Next:\n  i2i generate {model}" if noise else f"Next:\n  i2i translate PICTURE -m {model}")


def name_outdated(run: Path) -> None:
    """Says which variants in the run's folder are of older weights, and how to make them anew."""
    from i2i import api

    found = api.outdated(run)
    for path in found:
        click.echo(f"warning: {path}: is of older weights than {run / 'model.onnx'}", err=True)
    for precision in dict.fromkeys(found.values()):
        click.echo(f"  {shlex.join(['i2i', 'export', str(run), '--precision', precision])}", err=True)


def checked(description: Description) -> str:
    """How far the model is from the network, in words."""
    parity = description.parity
    graph = "" if description.precision == "fp32" else "in fp32 "
    return (
        f"{graph}differs from the network by at most {parity.largest} of 255, "
        f"in {parity.differing:.2%} of the values of {parity.cases} images"
    )


def _lost(path: Path, precision: Precision, loss: Loss) -> str:
    images = f"{loss.images} images that it was not fitted to" if loss.images > 1 else "1 image"
    what = f"{precision}: {loss.psnr:.1f} dB against fp32 on {images}, at least {loss.bound:.0f} needed"
    if loss.layers:
        what = f"{what}; {loss.layers}"
    whole = path.with_name(path.name.replace(f".{precision}.", "."))
    if not (path.is_file() and whole.is_file()):
        return what
    size, before = (file.stat().st_size / 1e6 for file in (path, whole))
    return f"{what}; {size:.1f} MB for {before:.1f} MB"
