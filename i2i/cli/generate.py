"""`i2i generate`: images from noise by an exported model, without torch."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2i.cli.deployed import interruptible, model_or_newest, progress

if TYPE_CHECKING:
    from i2i.runtime.gallery import Gallery, Targets
    from i2i.runtime.generator import Generator

_SEED = click.IntRange(0, 2**32 - 1)


@click.command()
@click.argument("model", required=False, type=click.Path(path_type=Path))
@click.option("-n", "--count", type=click.IntRange(1, 100_000), help="How many images. Default: 10.")
@click.option("--label", metavar="NAME|NUMBER", help="Their class, by name or number. Default: all in turn.")
@click.option("--seed", type=_SEED, help="Another seed, other images; the same seed, the same images. Default: 0.")
@click.option("--between", nargs=2, type=_SEED, metavar="SEED SEED", help="The way from one seed's image to another's.")
@click.option("--frames", type=click.IntRange(2, 1000), help="How many images on that way. Default: 10.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A folder. Default: generated.PLUGIN")
@click.option(
    "--device", default="auto", show_default=True, metavar="NAME", help="Where to run; `i2i doctor` lists them."
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.option("--no-sheet", is_flag=True, help="Write the images alone, without a contact sheet and an animation.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else.")
def command(
    model: Path | None,
    count: int | None,
    label: str | None,
    seed: int | None,
    between: tuple[int, int] | None,
    frames: int | None,
    output: Path | None,
    device: str,
    overwrite: bool,
    no_sheet: bool,
    as_json: bool,
) -> None:
    """Make images from noise, and a contact sheet of them, with an exported model.

    MODEL is an .onnx file or a run. Default: the newest run whose model makes images from noise.

    \b
    i2i generate                             ten images of the newest model
    i2i generate -n 100 --label 3 --seed 1   a hundred of class 3
    i2i generate --between 1 2 --frames 20   from one image to another, and an animated GIF
    """
    if between is None and frames is not None:
        raise click.UsageError("--frames goes with --between.")
    if between is not None and (count is not None or seed is not None):
        raise click.UsageError("--between has seeds and --frames of its own: leave out -n and --seed.")
    done: list[Path] = []
    with interruptible(lambda: f"{len(done)} files written before, and none is half-written"):
        from i2i.runtime.folder.jobs import file_tag
        from i2i.runtime.gallery import drawn, interpolated, plan
        from i2i.runtime.generator import Generator

        path = model_or_newest(model, "noise")
        generator = Generator.load(path, device)
        if generator.note:
            click.echo(f"running on the CPU: {generator.note}", err=True)
        start = time.perf_counter()
        if between is not None:
            gallery = interpolated(generator, between, frames or 10, label)
        else:
            gallery = drawn(generator, count or 10, seed or 0, label)
        folder = output or Path(f"generated.{file_tag(generator.description.plugin)}")
        targets = plan(gallery, folder, sheet=not no_sheet, overwrite=overwrite)
        _make(generator, gallery, targets, done)
    seconds = time.perf_counter() - start
    if as_json:
        click.echo(json.dumps(_report(path, generator, gallery, targets, seconds), indent=2))
        return
    size = generator.description.size
    made = f"{len(targets.images)} image{'s' if len(targets.images) > 1 else ''} of {size} x {size}"
    click.echo(f"{made} -> {folder} ({seconds:.2f} s on {generator.device})")
    for extra in targets.extras:
        click.echo(str(extra))


def _make(generator: Generator, gallery: Gallery, targets: Targets, done: list[Path]) -> None:
    """Appends the files to `done` as they are written, so that an interruption can count them."""
    from i2i.runtime.gallery import make

    with (
        progress("generating", len(targets.images) + len(targets.extras)) as (advance, _),
        closing(make(generator, gallery, targets)) as files,
    ):
        for file in files:
            done.append(file)
            advance()


def _report(path: Path, generator: Generator, gallery: Gallery, targets: Targets, seconds: float) -> dict[str, Any]:
    classes = generator.description.classes
    labels = [None] * len(targets.images) if gallery.labels is None else [classes[label] for label in gallery.labels]
    return {
        "model": str(path),
        "plugin": generator.description.plugin,
        "device": generator.device,
        "provider": generator.provider,
        "results": [
            {"output": str(file), **({} if label is None else {"label": label})}
            for file, label in zip(targets.images, labels, strict=True)
        ],
        "sheet": None if targets.sheet is None else str(targets.sheet),
        "animation": None if targets.animation is None else str(targets.animation),
        "size": [generator.description.size] * 2,
        "seconds": round(seconds, 4),
    }
