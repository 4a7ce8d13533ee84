"""From a run's best weights to its model files, written only when all are right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from i2i import images
from i2i.artifact import Description, Precision
from i2i.config import RunConfig
from i2i.data import Samples
from i2i.errors import ExportError
from i2i.files import replacing, write_text
from i2i.games.game import Export, Game, NoiseExport
from i2i.training.best import best_checkpoint, load_best
from i2i.training.fault import exported
from i2i.training.run import Run
from i2i.version import __version__
from i2i_export.cases import of_images as cases_of_images
from i2i_export.cases import of_noise as cases_of_noise
from i2i_export.cases import of_pictures as cases_of_pictures
from i2i_export.onnx import NORMALISATION, TO_PIXELS, to_onnx
from i2i_export.parity import check
from i2i_export.receptive import view
from i2i_export.variants import variant


@dataclass(frozen=True)
class Artifact:
    """A checked graph and what it says of itself. key: of the export, as in `Run.model_for`."""

    key: str
    model: onnx.ModelProto
    description: Description
    export: Export | NoiseExport


def export_run(run: Run, config: RunConfig, game: Game, plugin_version: str) -> dict[Path, Description]:
    """Writes every export of the run, the default one as `model.onnx`, and `parity.json`; returns them by file.

    game: of `config`, its weights are replaced. Raises ExportError, and leaves what was there, where a graph differs
    from its network by more than 1 of 255 anywhere.
    """
    return write_models(run, artifacts(run, config, game, plugin_version))


def export_variants(
    run: Run, made: Sequence[Artifact], precision: Precision, validation: Callable[[], Samples] | None
) -> dict[Path, Description]:
    """Writes each export of the run in another precision, as `model.int8.onnx`; returns them by file.

    validation: opens the images to fit and to judge by; not called where there are none to translate. None: the
    examples of the run. Raises ExportError, and leaves what was there, where one is too far from the model in fp32.
    """
    variants = []
    wanted = any(isinstance(artifact.export, Export) for artifact in made)
    samples = validation() if wanted and validation is not None else None
    for artifact in made:
        export = artifact.export
        if isinstance(export, Export):
            multiple = export.multiple * export.scale
            if samples is None:
                cases = cases_of_pictures(_examples(run.examples_for(artifact.key), export), export)
            else:
                cases = cases_of_images(samples, export)
        else:
            cases, multiple = cases_of_noise(export), export.size
        model, loss = variant(artifact.model, precision, cases, multiple)
        description = artifact.description.model_copy(update={"precision": precision, "loss": loss})
        variants.append(replace(artifact, model=model, description=description))
    return _write(run, variants)


def artifacts(run: Run, config: RunConfig, game: Game, plugin_version: str) -> list[Artifact]:
    """Every export of the run's best weights as a graph in fp32, compared with its network; raises ExportError."""
    _, best = best_checkpoint(run)
    facts = run.facts()
    imported = facts.get("imported", {})
    data = str(facts.get("data", config.data.source)).rstrip(".")
    training = imported.get("from") or (
        f"{data}; step {best.step} of {config.trainer.steps} at batch "
        f"{config.trainer.batch}; validation {best.metric} {best.score:.4g}"
    )
    exports = exported(load_best(game, run))
    names = imported.get("exports", list(exports))
    made = []
    for number, (name, export) in enumerate(exports.items()):
        if name not in names:
            continue
        key = name if number else ""
        pictures = _examples(run.examples_for(key), export) if isinstance(export, Export) else []
        described = {
            "plugin": config.plugin,
            "plugin_version": plugin_version,
            "direction": name if len(names) > 1 else imported.get("direction", ""),
            "trained_size": config.data.size,
            "training": training,
        }
        made.append(artifact(key, export, game, pictures, described))
    return made


def artifact(
    key: str, export: Export | NoiseExport, game: Game, pictures: Sequence[images.Pixels], described: Mapping[str, Any]
) -> Artifact:
    """The graph in fp32 of a deployed generator, compared with its network; raises ExportError where they differ.

    game: whose generator it is, as it is trained. pictures: to compare on, uint8 `[H, W, C]`. described: what of
    `Description` the graph itself does not tell.
    """
    model = to_onnx(export)
    parity = check(model.SerializeToString(), export, pictures)
    description = Description(
        **described,
        **_interface(model, export),
        i2i_version=__version__,
        batch_statistics=_batch_statistics(game),
        dropout=_dropout(game),
        digest=_digest(export.network),
        parity=parity,
    )
    return Artifact(key, model, description, export)


def write_models(run: Run, made: Sequence[Artifact]) -> dict[Path, Description]:
    """Writes the models of a run in fp32, and `parity.json`; returns them by file."""
    described = _write(run, made)
    found = {path.name: description.parity.model_dump() for path, description in described.items()}
    write_text(run.parity, json.dumps(found, indent=2) + "\n")
    return described


def write(made: Mapping[Path, Artifact]) -> dict[Path, Description]:
    """Writes model files with their descriptions inside, all or none; raises I2IError where the system refuses."""
    with ExitStack() as replaced:  # by all of them, once all are written
        for path, each in made.items():
            onnx.helper.set_model_props(each.model, each.description.properties())
            replaced.enter_context(replacing(path)).write_bytes(each.model.SerializeToString())
    return {path: each.description for path, each in made.items()}


def _write(run: Run, made: Sequence[Artifact]) -> dict[Path, Description]:
    return write({run.model_for(each.key, each.description.precision): each for each in made})


def _interface(model: onnx.ModelProto, export: Export | NoiseExport) -> dict[str, Any]:
    """What goes in, what comes out, and how far the network looks."""
    if isinstance(export, NoiseExport):
        return {
            "kind": "noise",
            "noise": export.noise,
            "classes": export.classes,
            "size": export.size,
            "channels_in": 0,
            "channels_out": export.channels_out,
            "multiple": 1,
            "minimum": 1,
            "receptive_radius": 0,
            "statistics": "none",
            "normalisation": TO_PIXELS,
        }
    return {
        "kind": "image",
        "channels_in": export.channels_in,
        "channels_out": export.channels_out,
        "scale": export.scale,
        "multiple": export.multiple,
        "minimum": export.multiple if export.minimum is None else export.minimum,
        "normalisation": NORMALISATION,
        **asdict(view(model.SerializeToString(), export.channels_in, export.multiple)),
    }


def _examples(folder: Path, export: Export) -> list[images.Pixels]:
    # What `i2i translate` made of them may lie beside them, under longer names.
    found = images.find(folder) if folder.is_dir() else ()
    paths = [path for path in found if path.parent == folder and path.stem.isdigit()]
    if not paths:
        raise ExportError(
            f"{folder}: holds no images to compare network and artifact on",
            "Put some images of the kind that is to be translated there.",
        )
    return [images.to_pixels(images.read(path), export.channels_in) for path in paths]


def _batch_statistics(game: Game) -> str:
    if not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in game.generators.modules()):
        return "no batch norm"
    if game.statistics == "image":
        return "each image's own: batch norm rewritten as instance norm with its scale and shift"
    return "running averages of the training"


def _dropout(game: Game) -> str:
    layers = sum(isinstance(module, nn.Dropout | nn.Dropout2d) for module in game.generators.modules())
    return f"removed ({layers} layers): one input gives one output" if layers else "none"


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
