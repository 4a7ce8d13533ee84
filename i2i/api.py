"""What the commands do, as functions: each command parses, calls one of these, and prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from i2i import plugin as plugins
from i2i.config import Layer, RunConfig, read_yaml, resolve
from i2i.errors import RunError
from i2i.training.run import RUNS, Run

if TYPE_CHECKING:
    from i2i.artifact import Description, Precision
    from i2i.data import Samples
    from i2i.imported import Imported
    from i2i.plugin import Entry, Plugin
    from i2i.runtime.generator import Generator
    from i2i.runtime.tiles.anysize import Tile
    from i2i.runtime.translator import Translator
    from i2i.training.observer import Observer


_SILENT = object()  # of a layer that does not have a key


def load(path: str | Path, device: str = "auto", *, direction: str | None = None, tile: Tile = "auto") -> Translator:
    """The translator in a `model.onnx` or a run's folder; a callable on PIL images and uint8 arrays. Needs no torch.

    direction: which one, such as "BtoA", of a run that has several; by default the one it was trained for. tile: pixels
    along the side of the pieces in which an image is translated; "auto": pieces where it does not fit, "off": never.
    """
    from i2i.runtime.translator import Translator

    return Translator.load(Path(path), device, direction=direction, tile=tile)


def load_generator(path: str | Path, device: str = "auto") -> Generator:
    """The generator of images from noise in a `model.onnx` or a run's folder. Needs no torch."""
    from i2i.runtime.generator import Generator

    return Generator.load(Path(path), device)


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
) -> Run:
    """Trains `plugin`, exports the best weights to `model.onnx`, and returns the run.

    settings: nested, as in the YAML files: `{"data": {"source": "photos"}, "trainer": {"steps": 500}}`.
    layers: configuration layers below `settings`, such as `i2i.config.read_yaml(path)`.
    out: the run's folder; by default the next number under `runs/`. Raises I2IError for whatever the user can mend;
    a run stopped by Ctrl-C or SIGTERM returns with the state "interrupted". devices: processes that train together, of
    which each takes a GPU, or its share of the cores; they write to stderr, and `observer` hears nothing of them.
    """
    from i2i.course import Course
    from i2i.together import train_together
    from i2i.training.launch import report_run, watch_launcher
    from i2i.training.world import joined

    entry = plugins.find(plugin)
    manifest = entry.load()
    config = _with_whole_paths(configure(manifest, [*layers, Layer("settings", settings or {})]))
    if devices > 1:
        return train_together(config, devices, [plugin, *(["--out", str(out)] if out is not None else [])], observer)
    watch_launcher()
    with joined(config.device) as world:
        course = Course(entry, manifest, config, observer, world=world)
        made: Run | None = None
        if world.first:
            made = Run.create(Path(out), plugin) if out is not None else Run.next(RUNS, plugin, manifest.name)
            made.note(distribution=entry.distribution)
            report_run(made.path)
        path = world.tell(None if made is None else str(made.path))
        run = Run(Path(path)) if made is None else made
        with run.locked() if world.first else nullcontext():
            return course.follow(run)


def resume(
    path: str | Path,
    settings: Mapping[str, Any] | None = None,
    *,
    layers: Sequence[Layer] = (),
    observer: Observer | None = None,
    devices: int = 1,
) -> Run:
    """Goes on with a run from its newest checkpoint, as if it had never stopped; raises RunError where it cannot.

    settings, layers: what to change, such as `{"trainer": {"steps": 40_000}}`; it is then no longer the run it was.
    devices: as of `train`, and not necessarily as many as before.
    """
    from i2i.course import Course, stages
    from i2i.together import train_together
    from i2i.training import checkpoint as checkpoints
    from i2i.training.best import lost_best
    from i2i.training.launch import report_run, watch_launcher
    from i2i.training.world import joined

    run, entry, manifest, config = _open(path, *layers, Layer("settings", settings or {}))
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
        return train_together(config, devices, ["--resume", str(run.path)], observer)
    watch_launcher()
    with joined(config.device) as world:
        report_run(run.path)
        with run.locked() if world.first else nullcontext():
            return Course(entry, manifest, config, observer, run, world).follow(run)


def import_checkpoint(
    path: str | Path,
    out: str | Path | None = None,
    *,
    run: str | Path | None = None,
    back: str | Path | None = None,
    direction: Literal["AtoB", "BtoA"] | None = None,
    statistics: Literal["image", "running"] | None = None,
    size: int | None = None,
    scale: int | None = None,
    plugin: str | None = None,
    legacy_unet: bool = False,
    examples: str | Path | None = None,
) -> Imported:
    """A generator that another project has trained, as a model, as weights to start from, or as a run.

    out: `NAME.onnx`, or `NAME.safetensors` for `init`; by default a model of the file's own name, unless there is a
    `run`: a folder, for both. back: of the two generators of a CycleGAN the other one. direction to legacy_unet: what
    the file does not tell, as in `i2i.foreign.layout.Asked`. examples: a folder of images on which model and network
    are compared; by default some are drawn. Nothing in the file is executed. Raises CheckpointError where it is
    damaged, hostile, or of no architecture that is known here; ExportError where a model would not compute what its
    network computes.
    """
    from i2i.foreign.layout import Asked
    from i2i.imported import adopt, bring_in

    place = Path(Path(path).stem + ".onnx") if out is None and run is None else out
    return bring_in(
        adopt(
            Path(path),
            Asked(direction, statistics, size, scale, plugin, legacy_unet),
            None if back is None else Path(back),
        ),
        out=None if place is None else Path(place),
        run=None if run is None else Path(run),
        examples=None if examples is None else Path(examples),
    )


def export(path: str | Path, precision: Precision = "fp32") -> dict[Path, Description]:
    """Writes the model files of a run from its best weights, and returns what each says of itself.

    The first is `model.onnx`, or `model.int8.onnx` of another precision, which is fitted and judged on the run's
    validation images, or on the examples of an imported one. Raises ExportError where one would not compute what its
    network computes, or loses too much.
    """
    from i2i.course import stages
    from i2i_export.run import artifacts, export_run, export_variants

    run, entry, manifest, config = _open(path)
    *_, last = stages(manifest, config).values()
    game = manifest.build(last)
    if precision == "fp32":
        with run.exporting():
            return export_run(run, last, game, entry.version)

    def validation() -> Samples:
        from i2i.data import open_splits

        return open_splits(last.data, manifest.kind).validation

    imported = run.facts().get("imported")
    if imported is not None and not imported["examples"]:
        raise RunError(
            f"{run.path}: was imported without images, on which {precision} would be fitted and judged",
            "Import it again with some: `i2i import FILE --examples DIR --run RUN`.",
        )
    with run.exporting():
        return export_variants(
            run, artifacts(run, last, game, entry.version), precision, None if imported is not None else validation
        )


def export_triton(
    path: str | Path,
    repository: str | Path,
    precision: Precision = "fp32",
    *,
    name: str | None = None,
    version: int = 1,
) -> dict[Path, Description]:
    """Exports a run, and adds it to a model repository of Triton Inference Server; returns what each model there is.

    name: of the model, by default the run's; another direction's has its name behind. Raises ExportError for a version
    that is there already.
    """
    from i2i_export.triton import check, pack

    called = Path(path).resolve().name if name is None else name
    check(Path(repository), called, version)  # before what takes minutes
    models = {}
    for number, (model, description) in enumerate(export(path, precision).items()):
        own = f"{called}-{description.direction}" if number else called
        check(Path(repository), own, version, description)  # all, before the first is added
        models[own] = model, description
    return {
        pack(model, description, Path(repository), own, version): description
        for own, (model, description) in models.items()
    }


def outdated(path: str | Path) -> dict[Path, Precision]:
    """The variants in a run's folder that are of other weights than the model in fp32 beside them. Needs no torch."""
    from i2i.errors import ArtifactError
    from i2i.runtime.model.find import read_description

    said = {}
    for file in sorted(Path(path).glob("model*.onnx")):
        with suppress(ArtifactError):  # a broken file is of no weights
            said[file] = read_description(file)
    whole = {each.direction: each.digest for each in said.values() if each.precision == "fp32"}
    return {
        file: each.precision
        for file, each in said.items()
        if each.precision != "fp32" and each.digest != whole.get(each.direction, each.digest)
    }


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


def _open(path: str | Path, *layers: Layer) -> tuple[Run, Entry, Plugin, RunConfig]:
    run = Run.open(Path(path))
    facts = run.facts()
    entry = plugins.find(str(facts["plugin"]), prefer=facts.get("distribution"))
    manifest = entry.load()
    return run, entry, manifest, resolve(manifest.config, [read_yaml(run.config), *layers])


def _with_whole_paths(config: RunConfig) -> RunConfig:
    """Folders by their whole paths, or the run could not be resumed from another folder."""
    from i2i.data import EMBEDDED

    def whole(path: str | None) -> str | None:
        there = path is not None and path not in EMBEDDED and Path(path).expanduser().exists()
        return str(Path(path).expanduser().resolve()) if there and path is not None else path

    data = config.data.model_copy(update={"source": whole(config.data.source), "second": whole(config.data.second)})
    return config.model_copy(update={"data": data, "init": whole(config.init)})
