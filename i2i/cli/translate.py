"""`i2i translate`: images through an exported model, without torch."""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2i.cli import INTERRUPTED
from i2i.cli.deployed import model_or_newest, progress
from i2i.errors import I2IError

if TYPE_CHECKING:
    from i2i.runtime.jobs import Job, Refused
    from i2i.runtime.pipeline import Result
    from i2i.runtime.translator import Translator

_PIPE = "-"


@click.command()
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path())
@click.option("-m", "--model", type=click.Path(path_type=Path), help="An .onnx file or a run. Default: the newest run.")
@click.option("--direction", metavar="NAME", help="Like BtoA, of a model that was trained in several.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A file for one image, a folder for more, - for stdout."
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N", help="Where to run.")
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist. Inputs are never overwritten.")
@click.option("--flatten", is_flag=True, help="Lay transparent images on white instead of keeping their alpha channel.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else.")
def command(
    inputs: tuple[str, ...],
    model: Path | None,
    direction: str | None,
    output: Path | None,
    device: str,
    overwrite: bool,
    flatten: bool,
    as_json: bool,
) -> None:
    """Translate images of any size with an exported model.

    INPUT is an image file, a folder (with all below it), a quoted pattern like 'photos/**/*.jpg', or - for stdin.

    \b
    i2i translate photo.jpg               writes photo.pix2pix.png beside it
    i2i translate photos                  mirrors the folder as photos.pix2pix
    i2i translate photos -o maps          mirrors it as maps
    i2i translate - < a.png > b.png       reads stdin, writes PNG to stdout
    i2i translate maps --direction BtoA   the other way, by a model of both

    One bad file does not stop the others; it is named, and the exit status is 1.
    """
    to_stdout = str(output) == _PIPE or (output is None and _PIPE in inputs)
    if to_stdout:
        _check_pipe(inputs, as_json)
    # What Pillow warns of, it then either reads or refuses with an error of ours that names the file.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    done: list[Result] = []
    try:
        from i2i.runtime.find import find_model
        from i2i.runtime.jobs import plan
        from i2i.runtime.translator import Translator

        named = model_or_newest(model, "image")
        path = named if direction is None else find_model(named, direction)
        given = [_stdin() if name == _PIPE else name for name in inputs]
        once = len(inputs) == 1 and (inputs[0] == _PIPE or Path(inputs[0]).is_file())
        translator = Translator.load(path, device, once=once)
        if translator.note:
            click.echo(f"running on the CPU: {translator.note}", err=True)
        if to_stdout:
            _to_stdout(translator, given[0], flatten)
            return
        # The other direction of the model that was meant has names of its own: an image may go both ways.
        other = direction if direction is not None and path != find_model(named) else ""
        plugin = translator.description.plugin
        tasks = plan(given, output=output, plugin=plugin, direction=other, overwrite=overwrite)
        start = time.perf_counter()
        _to_files(translator, tasks, flatten, done)
    except KeyboardInterrupt:
        whole = sum(result.error is None for result in done)
        click.echo(f"interrupted; {whole} translated before, and no output is half-written", err=True)
        sys.exit(INTERRUPTED)
    failed = sum(result.error is not None for result in done)
    if as_json:
        click.echo(json.dumps(_report(path, translator, done, failed), indent=2))
    else:
        click.echo(_summary(done, failed, time.perf_counter() - start, translator.device))
    if failed:
        sys.exit(1)


def _to_files(translator: Translator, tasks: list[Job | Refused], flatten: bool, done: list[Result]) -> None:
    """Appends the results to `done` as they come, so that an interruption can count them."""
    from i2i.runtime.pipeline import translate_files

    with (
        progress("translating", len(tasks)) as (advance, say),
        closing(translate_files(translator, tasks, flatten=flatten)) as results,
    ):
        for result in results:
            done.append(result)
            advance()
            if result.error is not None:
                say(f"error: {_naming(result)}")


def _to_stdout(translator: Translator, given: str | bytes, flatten: bool) -> None:
    from i2i.images import encode, read

    image = read(given, name="stdin") if isinstance(given, bytes) else read(Path(given))
    sys.stdout.buffer.write(encode(translator(image, flatten=flatten), ".png"))
    sys.stdout.buffer.flush()


def _check_pipe(inputs: tuple[str, ...], as_json: bool) -> None:
    if len(inputs) > 1:
        raise I2IError("stdout takes one image, and there are more inputs", "Give a folder with -o.")
    if as_json:
        raise I2IError("--json and the image would both go to stdout", "Give a file with -o.")
    if sys.stdout.isatty():
        raise I2IError("stdout is a terminal, not a place for an image", "Give a file with -o, or redirect stdout.")


def _stdin() -> bytes:
    if sys.stdin.isatty():
        raise I2IError("-: stdin is a terminal, not an image", "Pipe one in: i2i translate - < photo.png > out.png")
    return sys.stdin.buffer.read()


def _naming(result: Result) -> str:
    """The error with the input's name in front, unless it says it already."""
    text = str(result.error)
    return text if result.name in text else f"{result.name}: {text}"


def _summary(done: list[Result], failed: int, seconds: float, device: str) -> str:
    if len(done) == 1 and not failed:
        (only,) = done
        width, height = only.size or (0, 0)
        return f"{only.name} -> {only.output} ({width} x {height}, {only.seconds:.2f} s on {device})"
    return f"{len(done) - failed} translated, {failed} failed, in {seconds:.1f} s on {device}"


def _report(path: Path, translator: Translator, done: list[Result], failed: int) -> dict[str, Any]:
    results = [
        {
            "input": result.name,
            "output": None if result.output is None else str(result.output),
            "status": "translated" if result.error is None else "failed",
            **({} if result.error is None else {"error": result.error.message}),
            "seconds": round(result.seconds, 4),
            "size": result.size,
        }
        for result in done
    ]
    return {
        "model": str(path),
        "plugin": translator.description.plugin,
        "device": translator.device,
        "provider": translator.provider,
        "results": results,
        "translated": len(done) - failed,
        "failed": failed,
    }
