"""A training, new or gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i import plugin as plugins
from i2i.api.opened import open_run
from i2i.config import Layer, RunConfig, resolve
from i2i.errors import RunError
from i2i.training.run import RUNS, Run

if TYPE_CHECKING:
    from i2i.plugin import Plugin
    from i2i.training.observer import Observer
    from i2i.training.world import World

_SILENT = object()  # of a layer that does not have a key


def configure(plugin: Plugin, layers: Sequence[Layer] = ()) -> RunConfig:
    """The resolved configuration of a run: the plugin's defaults, its preset for the device, then `layers`.

    What the plugin says of its example data holds where `layers` name no other data. Where `init` is an imported
    checkpoint, its networks' settings go before the preset's. Raises ConfigError, or RunError for what `init` is not.
    """
    from i2i.training.device import resolve as resolve_device

    asked = str(_asked(layers, "device") or "auto")
    kind = resolve_device("auto").type if asked == "auto" else asked.partition(":")[0]
    preset = Layer(f"{plugin.name}'s preset", plugin.presets.get(kind, {}))
    own = _asked([Layer("example", plugin.example)], "data", "source")
    named = _asked(layers, "data", "source")
    example = [Layer(f"{plugin.name}'s example", plugin.example)] if named in (None, own) else []
    return resolve(
        plugin.config, [preset, *example, *_begun(plugin, layers), *layers, Layer("plugin", {"plugin": plugin.name})]
    )


def train(
    plugin: str,
    settings: Mapping[str, Any] | None = None,
    *,
    layers: Sequence[Layer] = (),
    out: str | Path | None = None,
    observer: Observer | None = None,
    devices: int = 1,
    watch: bool = False,
    typed: str | None = None,
) -> Run:
    """Trains `plugin`, exports the best weights to `model.onnx`, and returns the run.

    settings: nested, as in the YAML files: `{"data": {"source": "photos"}, "trainer": {"steps": 500}}`.
    layers: configuration layers below `settings`, such as `i2i.config.read_yaml(path)`.
    out: the run's folder; by default the next number under `runs/`. Raises I2IError for whatever the user can mend;
    a run stopped by Ctrl-C or SIGTERM returns with the state "interrupted". devices: processes that train together, of
    which each takes a GPU, or its share of the cores; they write to stderr, and `observer` hears nothing of them.
    watch: serve the run's report while it grows, on an address of this machine alone that `observer` is told.
    typed: the command that asked for all this, for the report.
    """
    from i2i.course import Course
    from i2i.together import train_together
    from i2i.training.launch import report_run, watch_launcher
    from i2i.training.world import joined

    entry = plugins.find(plugin)
    manifest = entry.load()
    config = _with_whole_paths(configure(manifest, [*layers, Layer("settings", settings or {})]))
    if devices > 1:
        words = [plugin, *(["--out", str(out)] if out is not None else []), *_passed_on(watch, typed)]
        return train_together(config, devices, words, observer)
    watch_launcher()
    with joined(config.device) as world:
        course = Course(entry, manifest, config, observer, world=world)
        made: Run | None = None
        if world.first:
            made = Run.create(Path(out), plugin) if out is not None else Run.next(RUNS, plugin, manifest.name)
            made.note(distribution=entry.distribution, command=typed)
            report_run(made.path)
        path = world.tell(None if made is None else str(made.path))
        run = Run(Path(path)) if made is None else made
        with _playing(run, world, observer, watch):
            return course.follow(run)


def resume(
    path: str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    layers: Sequence[Layer] = (),
    observer: Observer | None = None,
    devices: int = 1,
    watch: bool = False,
    typed: str | None = None,
) -> Run:
    """Goes on with a run from its newest checkpoint, as if it had never stopped; raises RunError where it cannot.

    settings, layers: what to change, such as `{"trainer": {"steps": 40_000}}`; it is then no longer the run it was.
    devices: as of `train`, and not necessarily as many as before. watch, typed: as of `train`.
    """
    from i2i.course import Course, stages
    from i2i.together import train_together
    from i2i.training import checkpoint as checkpoints
    from i2i.training.best import lost_best
    from i2i.training.launch import report_run, watch_launcher
    from i2i.training.world import joined

    run, entry, manifest, config = open_run(path, *layers, Layer("settings", settings or {}))
    if "imported" in run.facts():
        raise RunError(
            f"{run.path}: was imported, not trained: it has one player only",
            f"Start from it: i2i train {run.facts()['plugin']} --init {run.path}",
        )
    found = checkpoints.find(run.checkpoints)
    *_, last = stages(manifest, config).values()
    over = bool(found) and found[-1].step >= last.trainer.steps and run.facts()["state"] == "finished"
    if over and lost_best(run) is None:
        raise RunError(
            f"{run.path}: is finished: {found[-1].step} steps of {last.trainer.steps}",
            f"To train it longer: i2i train --resume {run.path} --steps {2 * config.trainer.steps}",
        )
    if devices > 1:
        return train_together(config, devices, ["--resume", str(run.path), *_passed_on(watch, typed)], observer)
    watch_launcher()
    with joined(config.device) as world:
        report_run(run.path)
        with _playing(run, world, observer, watch):
            course = Course(entry, manifest, config, observer, run, world)
            if world.first and typed is not None:
                run.note(resumed=[*run.facts().get("resumed", []), typed])
            return course.follow(run)


@contextmanager
def _playing(run: Run, world: World, observer: Observer | None, watch: bool) -> Iterator[None]:
    """Keeps other processes from playing the run, and shows it while it is played; the first of several does."""
    if not world.first:
        yield
        return
    from i2i.report import watching
    from i2i.training.observer import Observer

    said = (Observer() if observer is None else observer).said
    with run.locked(), watching(run, said) if watch else nullcontext():
        yield


def _passed_on(watch: bool, typed: str | None) -> list[str]:
    """What the first of several processes is to know beside the configuration."""
    return [*(["--watch"] if watch else []), *([f"--typed={typed}"] if typed is not None else [])]


def _begun(plugin: Plugin, layers: Sequence[Layer]) -> list[Layer]:
    """The settings of the imported networks that the run is to start from."""
    from i2i.training.start import Start

    init = _asked(layers, "init")
    if init is None:
        return []
    start = Start.open(Path(str(init)).expanduser())
    return [Layer(f"settings of {init}", start.settings)] if start.plugin == plugin.name else []


def _asked(layers: Sequence[Layer], *keys: str) -> object:
    """What the last of `layers` that has the key says; None where none has, or where that takes it back."""
    for layer in reversed(layers):
        found: Any = layer.tree
        for key in keys:
            found = found.get(key, _SILENT) if isinstance(found, Mapping) else _SILENT
        if found is not _SILENT:
            return found
    return None


def _with_whole_paths(config: RunConfig) -> RunConfig:
    """Folders by their whole paths, or the run could not be resumed from another folder."""
    from i2i.data import EMBEDDED

    def whole(path: str | None) -> str | None:
        there = path is not None and path not in EMBEDDED and Path(path).expanduser().exists()
        return str(Path(path).expanduser().resolve()) if there and path is not None else path

    data = config.data.model_copy(update={"source": whole(config.data.source), "second": whole(config.data.second)})
    return config.model_copy(update={"data": data, "init": whole(config.init)})
