"""`i2i compare`: several models on the same images, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2i.cli.deployed import interruptible
from i2i.cli.scores import options, shown, table

if TYPE_CHECKING:
    from i2i.evaluated import Figure
    from i2i.evaluating.asked import Direction
    from i2i.evaluating.comparison import Compared, Verdict
    from i2i.evaluating.opened import Size
    from i2i.plugin import Kind

_SAID = {"better": "better", "worse": "worse", "chance": "may be chance"}


@click.command(
    epilog="""\b
    i2i compare runs/pix2pix-001 runs/pix2pix-002
    i2i compare runs/pix2pix-001/model.onnx runs/pix2pix-001/model.int8.onnx
    i2i compare model.onnx others/ --data mine/        beside finished images of another program
    i2i compare one-evaluation two-evaluation          without scoring them again
    """
)
@click.argument("models", metavar="MODEL_OR_RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", default=Path("comparison"),
              show_default=True, help="Where it is kept.")  # fmt: skip
def command(
    models: tuple[Path, ...],
    data: tuple[str, ...],
    kind: Kind | None,
    size: Size,
    metrics: tuple[str, ...],
    weights: dict[str, Path],
    images: int | None,
    seed: int,
    direction: Direction | None,
    scale: int | None,
    device: str,
    as_json: bool,
    output: Path,
) -> None:
    """Score several models on the same images, and say whether they differ by more than chance.

    Each is an .onnx file, a run, or a folder of finished images; or all are folders that `i2i eval` has written. The
    images are those of the first. Of the others each difference to the first comes with its 95 % interval: where that
    leaves 0 out, it is more than chance.
    """
    from i2i.cli.progress import Display

    with interruptible(lambda: "nothing is kept"):
        from i2i.evaluating import compare

        with Display() as display:
            found = compare(
                models,
                data,
                kind=kind,
                size=size,
                metrics=metrics,
                weights=weights,
                images=images,
                seed=seed,
                device=device,
                direction=direction,
                scale=scale,
                progress=display.prepared,
            )
            for note in found.notes:
                display.said(f"note: {note}")
        folder = found.write(output)
    if as_json:
        click.echo(json.dumps({**json.loads(found.compared.model_dump_json()), "folder": str(folder)}, indent=2))
        return
    _show(found.compared)
    click.echo(f"Scores, images{' and a sheet' if found.sheet is not None else ''}: {folder}")


def _show(found: Compared) -> None:
    images = "image" if found.images == 1 else "images"
    split = "" if found.split == "all" else f" {found.split}"
    click.echo(f"{found.images}{split} {images}, {found.size}; {found.data}")
    units = {name: f"{name}{f',{about.unit}' if about.unit else ''}" for name, about in found.metrics.items()}
    table(
        ["", *units.values()],
        [
            [name, *(shown(figures[metric]) if metric in figures else "" for metric in units)]
            for name, figures in found.scores.items()
        ],
    )
    click.echo(f"Minus {found.models[0]}:")
    told = [metric for metric in units if any(metric in each for each in found.differences.values())]
    table(
        ["", *(units[metric] for metric in told)],
        [
            [
                name,
                *(_told(each[metric], found.verdicts[name][metric]) for metric in told),
            ]
            for name, each in found.differences.items()
        ],
    )


def _told(difference: Figure, verdict: Verdict) -> str:
    same = difference.value == difference.low == difference.high == 0
    return "the same" if same else f"{shown(difference, sign=True)} {_SAID[verdict]}"
