"""From a run's best weights to `model.onnx`, written only when it is right."""

from __future__ import annotations

import hashlib

import onnx
from torch import nn

from i2i import images
from i2i.artifact import Description
from i2i.config import RunConfig
from i2i.errors import ExportError
from i2i.files import replacing, write_text
from i2i.games.game import Export, Game
from i2i.training.best import best_checkpoint, load_best
from i2i.training.run import Run
from i2i.version import __version__
from i2i_export.onnx import NORMALISATION, to_onnx
from i2i_export.parity import check
from i2i_export.receptive import view


def export_run(run: Run, config: RunConfig, game: Game, plugin_version: str) -> Description:
    """Writes `model.onnx` and `parity.json` into the run.

    game: of `config`, its weights are replaced. Raises ExportError, and leaves what was there, where the graph differs
    from the network by more than 1 of 255 anywhere.
    """
    _, best = best_checkpoint(run)
    export = next(iter(load_best(game, run).exports().values()))
    model = to_onnx(export)
    parity = check(model.SerializeToString(), export, _examples(run, export))
    seen = view(model)
    facts = run.facts()
    description = Description(
        plugin=config.plugin,
        plugin_version=plugin_version,
        i2i_version=__version__,
        channels_in=export.channels_in,
        channels_out=export.channels_out,
        scale=export.scale,
        multiple=export.multiple,
        minimum=export.multiple,
        receptive_radius=seen.radius,
        statistics=seen.statistics,
        trained_size=config.data.size,
        normalisation=NORMALISATION,
        batch_statistics=_batch_statistics(game),
        dropout=_dropout(game),
        training=f"{facts.get('data', config.data.source)}; step {best.step} of {config.trainer.steps} at batch "
        f"{config.trainer.batch}; validation {best.metric} {best.score:.4g}",
        digest=_digest(export.network),
        parity=parity,
    )
    onnx.helper.set_model_props(model, description.properties())
    with replacing(run.model) as aside:
        aside.write_bytes(model.SerializeToString())
    write_text(run.parity, parity.model_dump_json(indent=2) + "\n")
    return description


def _examples(run: Run, export: Export) -> list[images.Pixels]:
    # What `i2i translate` made of them may lie beside them, under longer names.
    paths = [path for path in images.find(run.examples) if path.stem.isdigit()] if run.examples.is_dir() else []
    if not paths:
        raise ExportError(
            f"{run.examples}: holds no images to compare network and artifact on",
            "Put some images of the kind that is to be translated there.",
        )
    return [images.to_pixels(images.read(path), export.channels_in) for path in paths]


def _batch_statistics(game: Game) -> str:
    if not any(isinstance(module, nn.BatchNorm2d) for module in game.generators.modules()):
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
