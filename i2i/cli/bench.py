"""`i2i bench`: how fast an exported model runs here, without torch."""

from __future__ import annotations

import json
import platform
import re
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2i.cli.deployed import interruptible, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from i2i.runtime.measure.bench import Configuration, Result

_MOST_PIXELS = 65_536  # along a side
_MOST_IMAGES = 4096


def _sizes(text: str) -> list[tuple[int, int]]:
    """Width and height of each of `512,640x480`."""
    found = [re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", item.strip()) for item in text.split(",")]
    sizes = [(int(each[1]), int(each[2] or each[1])) for each in found if each]
    if len(sizes) < len(found) or not all(0 < side <= _MOST_PIXELS for size in sizes for side in size):
        raise click.BadParameter(f"'{text}': give pixels, like 512 or 640x480 (width x height), with commas between.")
    return sizes


def _batches(text: str) -> list[int]:
    """The numbers of `1,8`."""
    batches = [int(item) if item.strip().isdecimal() else 0 for item in text.split(",")]
    if not all(0 < batch <= _MOST_IMAGES for batch in batches):
        raise click.BadParameter(f"'{text}': give numbers of images from 1 to {_MOST_IMAGES}, with commas between.")
    return batches


def _devices(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--size", "sizes", type=_sizes, metavar="N|WxH,...", help="Pixels.  [default: 256,512]")
@click.option("--batch", "batches", type=_batches, metavar="N,...", default="1",
              show_default=True, help="Images at a time.")  # fmt: skip
@click.option("--device", "devices", type=_devices, metavar="NAME,...", default="auto", show_default=True,
              help="Where to run, as in `i2i translate`.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=3.0, show_default=True,
              help="Of timed runs for each line; at least five runs.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout, and nothing else.")
def command(
    models: tuple[Path, ...],
    sizes: list[tuple[int, int]] | None,
    batches: list[int],
    devices: list[str],
    seconds: float,
    as_json: bool,
) -> int:
    """Measure how fast a model runs: time, throughput and memory, cold and warm.

    MODEL is an .onnx file or a run, of which the model and its variants are measured. Each line of the table is
    measured in a process of its own. Exits with 1 where something could not be measured.

    \b
    i2i bench runs/pix2pix-001
    i2i bench model.onnx model.int8.onnx --size 256,1024 --batch 1,8
    """
    done: list[Result] = []
    wanted: list[Configuration] = []
    with interruptible(lambda: f"{len(done)} of {len(wanted)} measured"):
        from i2i.runtime.measure.bench import configurations, measure

        wanted += configurations(models, devices, batches, sizes or ())
        try:
            with progress("measuring", len(wanted)) as (advance, _), closing(measure(wanted, seconds)) as results:
                for result in results:
                    done.append(result)
                    advance()
        except KeyboardInterrupt:
            if done and not as_json:
                _show(done)
            raise
        if as_json:
            click.echo(json.dumps(_report(done), indent=2))
        else:
            _show(done)
    return int(any(result.measured.error for result in done))


def _show(results: Sequence[Result]) -> None:
    """A table; what all lines of it would share stands above it, and why some failed on stderr."""
    for line in _circumstances(results):
        click.echo(line)
    labels = [_labels(result.configuration) for result in results]
    shared = {name: label for name, label in labels[0].items() if all(each[name] == label for each in labels)}
    click.echo(", ".join(f"{name} {label}" for name, label in shared.items()))
    rows = [{**label, **_figures(result)} for label, result in zip(labels, results, strict=True)]
    names = [name for name in rows[0] if name not in shared and any(row[name] for row in rows)]
    _print(names, [[row[name] for name in names] for row in rows])
    failed: dict[str, list[str]] = {}
    for label, result in zip(labels, results, strict=True):
        if result.measured.error:
            failed.setdefault(result.measured.error, []).append(", ".join(map(" ".join, label.items())))
    for error, (first, *others) in failed.items():
        click.echo(f"{first}{f', and {len(others)} more' if others else ''}: {error}", err=True)


def _print(names: list[str], rows: list[list[str]]) -> None:
    """A table with lines on a terminal, and columns of text elsewhere."""
    if sys.stdout.isatty():
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD)
        for name in names:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)
        return
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    for row in (names, *rows):
        click.echo("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)))


def _circumstances(results: Sequence[Result]) -> list[str]:
    """Where it was measured, and what the figures are beside."""
    import onnxruntime

    from i2i.runtime.measure.bench import processor

    lines = [f"{processor()}, onnxruntime {onnxruntime.__version__}"]
    for device, result in {each.configuration.device: each for each in results if not each.measured.error}.items():
        found = result.measured
        peak = f", float32 matrix products at {2 * result.peak / 1e9:.0f} GFLOP/s" if result.peak else ""
        threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
        lines.append(f"{device}: {found.provider} on {found.gpu or found.device}, {threads}{peak}")
        if found.note:
            lines.append(f"running on the CPU: {found.note}")
    return lines


def _labels(configuration: Configuration) -> dict[str, str]:
    return {
        "folder": str(configuration.model.parent),
        "model": configuration.model.name,
        "precision": configuration.description.precision,
        "device": configuration.device,
        "size": f"{configuration.width}x{configuration.height}",
        "batch": str(configuration.batch),
    }


def _figures(result: Result) -> dict[str, str]:
    """Of one line: milliseconds, throughput, the share of the peak, seconds of a cold start, MiB."""
    cold, warm = result.measured.cold, result.measured.warm
    memory, gpu_memory = result.measured.memory, result.measured.gpu_memory
    share = result.share_of_peak
    return {
        "p50 ms": f"{1e3 * warm.p50:.1f}" if warm else "failed",
        "p95 ms": f"{1e3 * warm.p95:.1f}" if warm else "",
        "images/s": _rounded(result.images_per_second),
        "Mpx/s": _rounded(result.megapixels_per_second),
        "of peak": f"{share:.0%}" if share else "",
        "cold s": f"{cold.total:.2f}" if cold else "",
        "MiB": f"{memory / 2**20:.0f}" if memory else "",
        "GPU MiB": f"{gpu_memory / 2**20:.0f}" if gpu_memory else "",
    }


def _rounded(value: float | None) -> str:
    """Three digits that count."""
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _report(results: Sequence[Result]) -> dict[str, Any]:
    import onnxruntime

    from i2i.runtime.measure.bench import processor
    from i2i.version import __version__

    return {
        "environment": {
            "i2i": __version__,
            "onnxruntime": onnxruntime.__version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": processor(),
        },
        "results": [_row(result) for result in results],
    }


def _row(result: Result) -> dict[str, Any]:
    """Times in seconds, memory in bytes, the peak in multiplications per second; null where something is not known."""
    configuration = result.configuration
    return {
        "model": str(configuration.model),
        "digest": configuration.description.digest,
        "precision": configuration.description.precision,
        "batch": configuration.batch,
        "size": [configuration.width, configuration.height],
        "multiplications": configuration.multiplications or None,
        **result.measured.model_dump(mode="json", exclude={"peak"}),
        "images_per_second": result.images_per_second,
        "megapixels_per_second": result.megapixels_per_second,
        "peak": result.peak,
        "share_of_peak": result.share_of_peak,
    }
