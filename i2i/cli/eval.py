"""`i2i eval`: how good a model is, beside what there is without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2i.cli.deployed import interruptible
from i2i.cli.scores import options, shown, table

if TYPE_CHECKING:
    from i2i.evaluated import Evaluated
    from i2i.evaluating.asked import Direction
    from i2i.evaluating.opened import Size
    from i2i.plugin import Kind


@click.command(
    epilog="""\b
    i2i eval runs/pix2pix-001                          on the run's own test images
    i2i eval runs/pix2pix-001 --data mine/             on others: mine/A and mine/B, or side by side
    i2i eval model.onnx --data mine/ --size native     as they are, instead of at the size of the training
    i2i eval others/ --data mine/                      finished images of another program, called as the targets are
    i2i eval runs/pix2pix-001 --metrics +lpips --weights lpips=alexnet-owt-7be5be79.pth
    """
)
@click.argument("model", metavar="MODEL_OR_RUN", type=click.Path(path_type=Path))
@options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where it is kept.  [default: RUN/evaluation, for other data RUN/evaluation-NAME; MODEL-evaluation here]",
)
def command(
    model: Path,
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
    output: Path | None,
) -> None:
    """Score MODEL_OR_RUN on images, beside what there is without a model.

    It is an .onnx file, a run, or a folder of finished images. Each score comes with the 95 % interval that follows
    from there being so many images and no more. Scores, a line for each image, and the worst and the best as pictures
    are kept in a folder.
    """
    from i2i.cli.progress import Display

    with interruptible(lambda: "nothing is kept"):
        from i2i.evaluating import evaluate

        with Display() as display:
            found = evaluate(
                model,
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
        click.echo(json.dumps({**json.loads(found.evaluated.model_dump_json()), "folder": str(folder)}, indent=2))
        return
    _show(found.evaluated)
    click.echo(f"Scores, images, worst and best: {folder}")


def _show(found: Evaluated) -> None:
    images = "image" if found.images == 1 else "images"
    split = "" if found.split == "all" else f" {found.split}"
    click.echo(f"{found.model}: {found.images}{split} {images}, {found.size}; {found.data}")
    heads = ["", *found.scores, *(f"model - {name}" for name in found.gains), ""]
    rows = []
    for name, about in found.metrics.items():
        scores = [shown(figures[name]) for figures in found.scores.values()]
        gains = [shown(figures[name], sign=True) for figures in found.gains.values()]
        better = {True: "higher is better", False: "lower is better", None: ""}[about.higher_is_better]
        rows.append([f"{name}{f',{about.unit}' if about.unit else ''}", *scores, *gains, better])
    table(heads, rows)
