"""`i2i translate`: images through an exported model, without torch."""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2i.cli.deployed import interruptible, model_or_newest, progress
from i2i.cli.translated import count, naming, printable, report, summary
from i2i.errors import I2IError, ImageError

if TYPE_CHECKING:
    from i2i.runtime.folder.inputs import Refused
    from i2i.runtime.folder.jobs import Format, Job
    from i2i.runtime.folder.rendering import Rendering, Result
    from i2i.runtime.tiles.anysize import Tile
    from i2i.runtime.translator import Translator

_PIPE = "-"
_SAID = 20  # errors one by one; of more, the number is enough


class _TileType(click.ParamType["int | str"]):
    """`auto`, `off`, or pixels along the side of a tile."""

    name = "tile"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value in ("auto", "off"):
            return str(value)
        try:
            side = int(value)
        except ValueError:
            side = 0
        if side < 1:
            self.fail(f"{value!r} is neither auto, off nor a number of pixels", param, ctx)
        return side


def _rate(_: click.Context, __: click.Parameter, value: float) -> float:
    if not 0.01 <= value <= 1000:  # and so is nan
        raise click.BadParameter(f"{value} is not from 0.01 to 1000")
    return value


def _output(_: click.Context, __: click.Parameter, value: str | None) -> Path | None:
    if value == "":
        raise click.BadParameter("it is empty. Is a variable in your command not set?")
    return None if value is None else Path(value)


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
@click.option("-m", "--model", type=click.Path(path_type=Path), help="An .onnx file or a run. Default: the newest run.")
@click.option("--direction", metavar="NAME", help="Like BtoA, of a model that was trained in several.")
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    callback=_output,
    help="A file for one image, a folder for more, - for stdout.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "jpeg", "webp", "tiff", "same"]),
    help="Of the outputs; same: each as its input.  [default: png, or what -o ends in]",
)
@click.option("--quality", type=click.IntRange(1, 100), help="Of JPEG and WebP, 95 by default, and of video.")
@click.option("--keep-metadata", is_flag=True, help="EXIF and XMP go along. Colour profiles always do.")
@click.option("--resume", is_flag=True, help="Go on with a folder: what was made like this before stays.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist. Inputs are never overwritten.")
@click.option("--flatten", is_flag=True, help="Lay transparent images on white instead of keeping their alpha channel.")
@click.option(
    "--device", default="auto", show_default=True, metavar="NAME", help="Where to run; `i2i doctor` lists them."
)
@click.option(
    "--tile",
    type=_TileType(),
    default="auto",
    show_default=True,
    metavar="auto|SIZE|off",
    help="Cut what does not fit.",
)
@click.option(
    "--rate",
    type=float,
    callback=_rate,
    default=25.0,
    show_default=True,
    help="Frames a second, where a folder becomes a video.",
)
@click.option("--max-pixels", type=click.IntRange(1), metavar="N", help="Refuse larger images.  [default: 89478485]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else.")
def command(
    inputs: tuple[str, ...],
    model: Path | None,
    direction: str | None,
    output: Path | None,
    form: Format | None,
    quality: int | None,
    keep_metadata: bool,
    resume: bool,
    overwrite: bool,
    flatten: bool,
    device: str,
    tile: Tile,
    rate: float,
    max_pixels: int | None,
    as_json: bool,
) -> None:
    """Translate images of any size with an exported model.

    INPUT is an image file, a folder (with all below it), a quoted pattern like 'photos/**/*.jpg', a video, or - for
    stdin.

    \b
    i2i translate photo.jpg               writes photo.pix2pix.png beside it
    i2i translate photos                  mirrors the folder as photos.pix2pix
    i2i translate photos -o maps          mirrors it as maps
    i2i translate photos --resume         goes on with it
    i2i translate - < a.png > b.png       reads stdin, writes PNG to stdout
    i2i translate maps --direction BtoA   the other way, by a model of both

    One bad file does not stop the others; it is named, and the exit status is 1.
    """
    to_stdout = str(output) == _PIPE or (output is None and _PIPE in inputs)
    if to_stdout:
        _check_pipe(inputs, as_json, resume)
    if inputs.count(_PIPE) > 1:
        raise I2IError("stdin holds one image, and - is given twice", "Give it once.")
    done: list[Result] = []

    def interrupted() -> str:
        return f"{count(done, 'translated')} translated before, and no output is half-written"

    with interruptible(interrupted):
        from i2i.files import DiskFullError
        from i2i.images import MAX_PIXELS
        from i2i.pillow import ImageWarning
        from i2i.runtime.folder.amount import little, many
        from i2i.runtime.folder.jobs import plan
        from i2i.runtime.folder.rendering import Rendering
        from i2i.runtime.model.find import find_model, read_description
        from i2i.runtime.translator import Translator

        warnings.simplefilter("ignore", ImageWarning)  # a note says it
        _check_quality(quality, form, inputs, None if to_stdout else output)
        named = model_or_newest(model, "image")
        path = find_model(named, direction)
        given = [_stdin() if name == _PIPE else name for name in inputs]
        # The other direction of the model that was meant has names of its own: an image may go both ways.
        other = direction if direction is not None and path != find_model(named) else ""
        rendering = Rendering(flatten, quality, keep_metadata, max_pixels or MAX_PIXELS, rate)
        tasks: list[Job | Refused] = []
        described = read_description(path)
        if not to_stdout:
            tasks = plan(
                given,
                output=output,
                plugin=described.plugin,
                direction=other,
                form=form,
                overwrite=overwrite,
                resume=resume,
            )
        translator = Translator.load(
            path,
            device,
            once=little(tasks, rendering.max_pixels, described.scale),
            parallel=many(tasks),
            tile=tile,
        )
        if translator.note:
            click.echo(f"running on the CPU: {translator.note}", err=True)
        if to_stdout:
            _to_stdout(translator, given[0], form, rendering)
            return
        start = time.perf_counter()
        full: DiskFullError | None = None
        try:
            _to_files(translator, tasks, rendering, resume, done)
        except DiskFullError as error:
            full = error
    if as_json:
        click.echo(json.dumps(report(path, translator, done), indent=2))
    else:
        click.echo(printable(summary(done, time.perf_counter() - start, translator.device)))
    if full is not None:
        raise I2IError(
            f"{full.message}; {count(done, 'translated')} translated before, {len(tasks) - len(done)} not",
            "Free some space there; then --resume goes on with an output folder.",
        )
    if count(done, "failed"):
        sys.exit(1)


def _to_files(
    translator: Translator, tasks: list[Job | Refused], rendering: Rendering, resume: bool, done: list[Result]
) -> None:
    """Appends the results to `done` as they come, so that an interruption can count them."""
    from i2i.runtime.folder.pipeline import translate_files

    failed = 0
    notes: set[str | None] = {None}
    frames = _frames(tasks)
    with (
        progress("translating", frames or len(tasks)) as (advance, say),
        closing(
            translate_files(translator, tasks, rendering, resume=resume, watch=advance if frames else lambda done: None)
        ) as results,
    ):
        for result in results:
            done.append(result)
            advance(frames or len(done))
            if result.note not in notes:
                notes.add(result.note)
                say(f"note: {result.note}")
            if result.error is not None:
                failed += 1
                if failed <= _SAID:
                    say(f"error: {naming(result)}")
    if failed > _SAID:
        click.echo(f"error: and {failed - _SAID} more, which --json names", err=True)


def _frames(tasks: list[Job | Refused]) -> int:
    """How many frames a video has that is alone; 0 where that is not known, or not so."""
    from i2i.runtime.folder.jobs import Job
    from i2i.runtime.video.video import frame_count

    if len(tasks) == 1 and isinstance((job := tasks[0]), Job) and job.kind in ("video", "frames"):
        with suppress(I2IError):  # which is then the result of the job
            return frame_count(Path(job.name)) or 0
    return 0


def _to_stdout(translator: Translator, given: str | bytes, form: Format | None, rendering: Rendering) -> None:
    from i2i.images import QUALITY, encode, read_whole
    from i2i.runtime.folder.jobs import suffix_of
    from i2i.runtime.folder.rendering import joined, remarks

    source, name = (given, "stdin") if isinstance(given, bytes) else (Path(given), given)
    image, beside = read_whole(source, name=name, max_pixels=rendering.max_pixels, everything=rendering.keep_metadata)
    suffix = suffix_of(name, form)
    try:
        made = translator(image, flatten=rendering.flatten)
        encoded = encode(made, suffix, quality=rendering.quality or QUALITY, beside=beside)
    except MemoryError:
        raise ImageError(f"{name}: does not fit into memory", "Make it smaller.") from None
    note = joined(*remarks(source, name, rendering), translator.approximate(*image.size))  # only now known
    if note is not None:
        click.echo(f"note: {note}", err=True)
    sys.stdout.buffer.write(encoded)
    sys.stdout.buffer.flush()


def _check_pipe(inputs: tuple[str, ...], as_json: bool, resume: bool) -> None:
    if len(inputs) > 1:
        raise I2IError("stdout takes one image, and there are more inputs", "Give a folder with -o.")
    if as_json:
        raise I2IError("--json and the image would both go to stdout", "Give a file with -o.")
    if resume:
        raise I2IError("--resume goes on in an output folder, and stdout is none", "Give a folder with -o.")
    if sys.stdout.isatty():
        raise I2IError("stdout is a terminal, not a place for an image", "Give a file with -o, or redirect stdout.")


def _check_quality(quality: int | None, form: Format | None, inputs: tuple[str, ...], output: Path | None) -> None:
    """Raises I2IError for a quality that no output can have."""
    from i2i.images import LOSSY, WRITABLE
    from i2i.runtime.video.clip import VIDEOS

    own = WRITABLE.get("" if output is None else output.suffix.lower())
    files = [*map(Path, inputs), *([] if output is None else [output])]
    video = any(file.suffix.lower() in VIDEOS for file in files)
    if quality is not None and not video and (own or form or "png").upper() not in (*LOSSY, "SAME"):
        raise I2IError(
            f"--quality {quality}: {(own or form or 'png').upper()} has none",
            "Give --format jpeg or webp, or leave it out.",
        )


def _stdin() -> bytes:
    if sys.stdin.isatty():
        raise I2IError("-: stdin is a terminal, not an image", "Pipe one in: i2i translate - < photo.png > out.png")
    return sys.stdin.buffer.read()
