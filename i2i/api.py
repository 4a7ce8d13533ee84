"""What the commands do, as functions: each command parses, calls one of these, and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from i2i import plugin as plugins
from i2i.config import Layer, RunConfig, dump, read_yaml, resolve
from i2i.errors import I2IError, RunError
from i2i.files import write_text
from i2i.training.run import RUNS, Run

if TYPE_CHECKING:
    from i2i.artifact import Description
    from i2i.plugin import Entry, Plugin
    from i2i.runtime.translator import Translator
    from i2i.training.fit import Outcome
    from i2i.training.observer import Observer
    from i2i.training.session import Session


def load(path: str | Path, device: str = "auto") -> Translator:
    """The translator in a `model.onnx` or a run's folder; a callable on PIL images and uint8 arrays. Needs no torch."""
    from i2i.runtime.translator import Translator

    return Translator.load(Path(path), device)


def configure(plugin: Plugin, layers: Sequence[Layer] = ()) -> RunConfig:
    """The resolved configuration of a run: the plugin's defaults, its preset for the device, then `layers`.

    Raises ConfigError.
    """
    from i2i.training.device import resolve as resolve_device

    asked = next((str(layer.tree["device"]) for layer in reversed(layers) if "device" in layer.tree), "auto")
    kind = resolve_device("auto").type if asked == "auto" else asked.partition(":")[0]
    preset = Layer(f"{plugin.name}'s preset", plugin.presets.get(kind, {}))
    return resolve(plugin.config, [preset, *layers, Layer("plugin", {"plugin": plugin.name})])


def train(
    plugin: str,
    settings: Mapping[str, Any] | None = None,
    *,
    layers: Sequence[Layer] = (),
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> Run:
    """Trains `plugin`, exports the best weights to `model.onnx`, and returns the run.

    settings: nested, as in the YAML files: `{"data": {"source": "photos"}, "trainer": {"steps": 500}}`.
    layers: configuration layers below `settings`, such as `i2i.config.read_yaml(path)`.
    out: the run's folder; by default the next number under `runs/`. Raises I2IError for whatever the user can mend;
    a run stopped by Ctrl-C or SIGTERM returns with the state "interrupted".
    """
    from i2i.data import EMBEDDED
    from i2i.training.session import Session

    entry = plugins.find(plugin)
    manifest = entry.load()
    config = configure(manifest, [*layers, Layer("settings", settings or {})])
    folder = Path(config.data.source).expanduser()
    if folder.is_dir() and config.data.source not in EMBEDDED:  # or it could not be resumed from another folder
        config = config.model_copy(update={"data": config.data.model_copy(update={"source": str(folder.resolve())})})
    session = Session(manifest, config, observer)
    run = Run.create(Path(out), plugin) if out is not None else Run.next(RUNS, plugin, manifest.name)
    return _finish(run, session, entry)


def resume(
    path: str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    layers: Sequence[Layer] = (),
    observer: Observer | None = None,
) -> Run:
    """Goes on with a run from its newest checkpoint, as if it had never stopped; raises RunError where it cannot.

    settings, layers: what to change, such as `{"trainer": {"steps": 40_000}}`; it is then no longer the run it was.
    """
    from i2i.training import checkpoint as checkpoints
    from i2i.training.session import Session

    run, entry, manifest, config = _open(path, *layers, Layer("settings", settings or {}))
    found = checkpoints.find(run.checkpoints)
    if found and found[-1].step >= config.trainer.steps and run.facts()["state"] == "finished":
        raise RunError(
            f"{run.path}: is finished: {found[-1].step} steps of {config.trainer.steps}",
            f"To train it longer: i2i train --resume {run.path} --steps {2 * found[-1].step}",
        )
    session = Session(manifest, config, observer)
    if found:
        session.resume(checkpoints.newest(found))
    checkpoints.sweep(run.checkpoints)
    return _finish(run, session, entry)


def export(path: str | Path) -> Description:
    """Writes the `model.onnx` of a run from its best weights; raises ExportError where it would not be the same."""
    from i2i_export.run import export_run

    run, entry, manifest, config = _open(path)
    return export_run(run, config, manifest.build(config), entry.version)


def _open(path: str | Path, *layers: Layer) -> tuple[Run, Entry, Plugin, RunConfig]:
    run = Run.open(Path(path))
    entry = plugins.find(str(run.facts()["plugin"]))
    manifest = entry.load()
    return run, entry, manifest, resolve(manifest.config, [read_yaml(run.config), *layers])


def _finish(run: Run, session: Session, entry: Entry) -> Run:
    """Plays to the end, scores and exports; leaves in `run.json` how it ended."""
    from i2i.training.stopping import terminable
    from i2i_export.run import export_run

    outcome: Outcome | None = None
    try:
        with terminable():
            write_text(run.config, dump(session.config))
            outcome = session.play(run)
            if outcome.stopped is not None:
                run.finish("interrupted", step=outcome.last.step, signal=outcome.stopped.name)
                return run
            scores = session.score(run)
            export_run(run, session.config, session.build(), entry.version)
            run.finish("finished", step=outcome.last.step, scores=scores)
    except KeyboardInterrupt:
        if outcome is None:  # in the middle of a step: what was played since the last checkpoint is lost
            run.finish("interrupted")
            raise
        run.finish("interrupted", step=outcome.last.step, signal="SIGINT")
    except BaseException as error:
        with suppress(I2IError):  # where the disk is full, that is what is raised below
            run.finish("failed", error=str(error))
        raise
    return run
