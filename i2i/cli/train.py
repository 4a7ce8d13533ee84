"""`i2i train`."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from i2i import plugin as plugins
from i2i.cli import words
from i2i.config import Layer, dump, parse_assignment, read_yaml
from i2i.training.run import RUNS, Run

if TYPE_CHECKING:
    from i2i.evaluated import Figure

FILE = click.Path(path_type=Path)


def _plugins(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return [entry.name for entry in plugins.catalogue() if entry.name.startswith(incomplete)]


@click.command(
    epilog="""\b
    i2i train pix2pix                              on the embedded data, as suits this machine
    i2i train pix2pix --data photos/               on your own pairs: photos/A and photos/B, or side by side
    i2i train pix2pix --config configs/pix2pix-facades.yaml --data facades/
    i2i train --resume runs/pix2pix-001            goes on where it stopped
    i2i train cyclegan --data maps/ --devices 4    on four GPUs
    """
)
@click.argument("plugin", required=False, shell_complete=_plugins)
@click.option(
    "--data",
    "sources",
    type=click.Path(),
    multiple=True,
    metavar="DIR",
    help="Folder of images, or the name of an embedded set. Unpaired: one with A and B, or twice, A and then B.",
)
@click.option(
    "--config",
    "configs",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="YAML file; a later one wins.",
)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One key, such as trainer.batch=4.")
@click.option("--steps", type=int, metavar="N", help="Moves of the generator.")
@click.option("--seed", type=int, metavar="N", help="Decides weights, order, augmentation and noise.")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--devices",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Processes that train together: as many GPUs, or shares of the cores.",
)
@click.option("--out", type=FILE, metavar="DIR", help="Folder of the run.  [default: runs/PLUGIN-NNN]")
@click.option(
    "--resume",
    "resumed",
    type=FILE,
    metavar="RUN",
    help="Go on with a run from its newest checkpoint.",
)
@click.option("--init", type=click.Path(), metavar="RUN", help="Start from the best weights of another run.")
@click.option("--watch", is_flag=True, help="Serve the run's report while it grows, for a browser on this machine.")
@click.option("--typed", hidden=True)  # by which several processes were asked for
@click.option("--print-config", is_flag=True, help="Print every key with its value and meaning, and stop.")
def command(
    plugin: str | None,
    sources: tuple[str, ...],
    configs: tuple[Path, ...],
    assignments: tuple[str, ...],
    steps: int | None,
    seed: int | None,
    device: str | None,
    devices: int,
    out: Path | None,
    resumed: Path | None,
    init: str | None,
    watch: bool,
    typed: str | None,
    print_config: bool,
) -> None:
    """Train PLUGIN, check it on images it has not seen, and export it to one file."""
    from i2i import api
    from i2i.cli.progress import Display

    if len(sources) > 2:
        raise click.UsageError("--data stands there more than twice: it takes the folder of A and that of B")
    layers = [
        *(read_yaml(path) for path in configs),
        *_options(
            {
                **dict(zip(("data.source", "data.second"), sources, strict=False)),
                "init": init,
                "trainer.steps": steps,
                "seed": seed,
                "device": device,
            }
        ),
        *(parse_assignment(text) for text in assignments),
    ]
    typed = shlex.join(["i2i", *words()]) if typed is None else typed
    if resumed is not None:
        if plugin is not None or out is not None or init is not None or print_config:
            raise click.UsageError(
                "--resume takes all that from the run: leave out PLUGIN, --out, --init and --print-config"
            )
        with _signals(), Display() as display:
            _conclude(api.resume(resumed, layers=layers, observer=display, devices=devices, watch=watch, typed=typed))
        return
    if plugin is None:
        known = ", ".join(sorted({entry.name for entry in plugins.catalogue()}))
        raise click.UsageError(f"say which plugin to train: {known}")
    if print_config:
        click.echo(dump(api.configure(plugins.load(plugin), layers)), nl=False)
        return
    with _signals(), Display() as display:
        run = api.train(plugin, layers=layers, out=out, observer=display, devices=devices, watch=watch, typed=typed)
    _conclude(run)


@contextmanager
def _signals() -> Iterator[None]:
    """Ends the process with the status of the signal by which a training was abandoned; Ctrl-C is the group's."""
    from i2i.training.stopping import Signalled

    try:
        yield
    except Signalled as signalled:
        click.echo("interrupted", err=True)
        sys.exit(128 + signalled.signal)


def _options(values: dict[str, Any]) -> list[Layer]:
    names = {"data.source": "--data", "data.second": "--data", "trainer.steps": "--steps"}
    layers = []
    for key, value in values.items():
        if value is not None:
            tree: Any = value
            for part in reversed(key.split(".")):
                tree = {part: tree}
            layers.append(Layer(names.get(key, f"--{key}"), tree))
    return layers


def _conclude(run: Run) -> None:
    from i2i import api
    from i2i.cli.export import name_outdated
    from i2i.evaluated import MODEL, Evaluated

    facts = run.facts()
    if not _speaking():
        if facts["state"] == "interrupted":
            sys.exit(128 + signal.Signals[facts["signal"]])
        return
    if facts["state"] == "interrupted":
        # Without a step, it was told so twice: what was played since the last checkpoint is lost.
        saved = f"Stopped after step {facts['step']}; everything is saved." if "step" in facts else "Stopped at once."
        click.echo(f"{saved} Go on with:")
        click.echo("  " + shlex.join(["i2i", "train", "--resume", str(run.path)]))
        sys.exit(128 + signal.Signals[facts["signal"]])
    evaluated = Evaluated.read(run.evaluation)
    for name, figures in evaluated.scores.items():
        over = f" over the {evaluated.images} {evaluated.split} images" if name == MODEL else f" by {name}"
        click.echo(f"{_figures(figures)}{over}")
    exported = sorted({*run.path.glob("model*.onnx")} - {*api.outdated(run.path)})
    click.echo(f"Exported and checked: {', '.join(map(str, exported))}")
    name_outdated(run.path)
    if run.report.is_file():
        click.echo(f"Report: {run.report}")
    if found := [f"{each['name'].replace('_', ' ')} (step {each['step']})" for each in facts.get("diagnoses", [])]:
        click.echo(f"Found on the way: {', '.join(found)}; {run.path / 'run.json'} has the figures and what helps")
    model = [] if run.path.parent == RUNS else [str(run.path)]
    if facts["kind"] == "noise":
        command = ["generate", *model]
    else:
        example = min(path for path in run.examples.iterdir() if path.is_file())
        command = ["translate", str(example), *(["-m", *model] if model else [])]
    click.echo("Next:\n  " + shlex.join(["i2i", *command]))


def _speaking() -> bool:
    """Whether this process tells how it ended: of several the first, or the one that has started them."""
    from i2i.training.launch import LAUNCHED

    return int(os.environ.get("RANK", "0")) == 0 and LAUNCHED not in os.environ


def _figures(figures: Mapping[str, Figure]) -> str:
    """The scores, each with its 95 % interval where there is one."""
    return ", ".join(
        f"{name} {each.value:.4g}" + (f" ({each.low:.4g} to {each.high:.4g})" if each.low is not None else "")
        for name, each in figures.items()
    )
