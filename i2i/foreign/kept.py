"""Checkpoints of i2i: the averaged generators among all that a run keeps, and what is said of them beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from i2i import plugin as plugins
from i2i.config import Layer, RunConfig, Tree, read_yaml, resolve
from i2i.errors import CheckpointError, I2IError
from i2i.foreign.layout import Asked, Layout, Tensors
from i2i.foreign.own import STATISTICS, layout_of
from i2i.games.game import Export, Game
from i2i.plugin import Plugin
from i2i.training.checkpoint import below
from i2i.training.fault import exported
from i2i.training.run import Run
from i2i.training.start import DECIDING, SUFFIX, Start

_WEIGHTS: Final = "checkpoints/step-*/weights.safetensors"
_AVERAGE: Final = "average."
_DEEP: Final = ("blocks", "depth")  # settings of which each unit makes at least one tensor
_MOST: Final = 2**30  # values in the networks of a game, its discriminators too


@dataclass(frozen=True)
class Part:
    """The tensors of one generator by its own names; layout: where the file, or the run around it, says which it is."""

    tensors: Tensors
    layout: Layout | None = None


def generator_in(tensors: Tensors, asked: Asked, path: Path) -> Part:
    """Out of a checkpoint of i2i the generator that translates in the direction asked for; of others all there is.

    Where the configuration of its run lies beside it, or the file of `i2i import` says of which plugin it is, these
    decide the architecture, whatever plugin it is. Raises CheckpointError where they make no network, or where that
    plugin makes images of noise.
    """
    try:
        said = _said(path)
        if said is not None:
            return _of_plugin(tensors, asked, path, *said)
    except CheckpointError:
        raise
    except Exception as error:  # settings in a file can be anything, and so can what a plugin does with them
        cause = error.message if isinstance(error, I2IError) else f"{type(error).__name__}: {error}"
        hint = error.hint if isinstance(error, I2IError) else None
        raise CheckpointError(
            f"{path}: what is said of its networks is of no use: {cause}",
            hint or "Save its generator's weights alone, and import these.",
        ) from error
    names = sorted({name.split(".")[1] for name in tensors if name.startswith(_AVERAGE)})
    if not names:
        return Part(tensors)
    return Part(_deployed(tensors, asked.direction if asked.direction in names else names[0]))


def _said(path: Path) -> tuple[str, Tree] | None:
    """The plugin, and settings that decide its networks, of a file in a run or of one that `i2i import` wrote."""
    if path.suffix != SUFFIX:
        return None
    if _is_ours(path):
        start = Start.open(path)
        return start.plugin, start.settings
    whole = path.resolve()
    run = Run(whole.parents[min(2, len(whole.parents) - 1)])
    if not whole.match(_WEIGHTS) or not run.config.is_file():
        return None
    tree = read_yaml(run.config).tree
    data, game, plugin = tree.get("data"), tree.get("game"), tree.get("plugin")
    if not (isinstance(data, Mapping) and isinstance(game, Mapping) and isinstance(plugin, str)):
        raise CheckpointError(
            f"{path}: {run.config} lacks `plugin`, `data` or `game`", "Restore the run's config.yaml."
        )
    return plugin, {"data": {key: value for key, value in data.items() if key in DECIDING and value is not None}} | {
        "game": game
    }


def _is_ours(path: Path) -> bool:
    """Whether a file says of itself that `i2i import` wrote it."""
    try:
        with safe_open(path, framework="numpy") as file:
            return any(key.startswith("i2i.") for key in file.metadata() or {})
    except (OSError, SafetensorError):  # no file, or of another format under this name
        return False


def _of_plugin(tensors: Tensors, asked: Asked, path: Path, name: str, said: Tree) -> Part:
    manifest = plugins.find(name, prefer=plugins.OWN).load()
    deep = max((value for key in _DEEP if isinstance(value := said["game"].get(key), int)), default=0)
    if deep > len(tensors):
        raise CheckpointError(
            f"{path}: is said to be {deep} blocks deep, but has {len(tensors)} tensors", "Import a whole file."
        )
    settings = _as_asked(manifest, said, asked, path)
    wanted = {"data": {"direction": asked.direction}} if asked.direction is not None else {}
    config = _config(manifest, settings, path, Layer("--direction", wanted))
    game = _built(manifest, config)
    if sum(parameter.numel() for parameter in game.parameters()) > _MOST:
        raise CheckpointError(f"{path}: its settings are of networks beyond all measure", "Check `game` in them.")
    first = next(iter(exported(game).values()))
    if not isinstance(first, Export):
        raise CheckpointError(
            f"{path}: {name} makes images of noise, and translates none", "Export its run: i2i export RUN."
        )
    key = next((key for key, network in game.generators.items() if network is first.network), None)
    if key is None:
        raise CheckpointError(
            f"{path}: the model of {name} is more than its generator", "Export its run: i2i export RUN."
        )
    part = _deployed(tensors, key) or below(tensors, f"{key}.")
    return Part(part, layout_of(first.network, f"i2i's {name}", name, settings, averages=game.statistics == "running"))


def _as_asked(manifest: Plugin, said: Tree, asked: Asked, path: Path) -> Tree:
    """Settings with the size and the statistics that were asked for, of the same networks."""
    config = _config(manifest, said, path)
    own: Tree = config.model_dump().get("game", {})
    # What is left open may follow from the size: by the plugins' habit a property of the configuration says it.
    settled = {
        key: value for key, left in own.items() if left is None and isinstance(value := getattr(config, key, None), int)
    }
    statistics = {"statistics": asked.statistics or own["statistics"]} if "statistics" in own else {}
    size = {"size": asked.size} if asked.size is not None else {}
    return {"data": {**said["data"], **size}, "game": {**said["game"], **settled, **statistics}}


def _config(manifest: Plugin, settings: Tree, path: Path, *layers: Layer) -> RunConfig:
    options = {"plugin": manifest.name, "device": "cpu"}
    return resolve(manifest.config, [Layer(str(path), settings), *layers, Layer("", options)])


def _built(manifest: Plugin, config: RunConfig) -> Game:
    """The game without memory for its weights, which are only compared by shape."""
    try:
        with torch.device("meta"):
            return manifest.build(config)
    except I2IError:  # a plugin of somebody's own that looks at the values of weights as it makes them
        return manifest.build(config)


def _deployed(tensors: Tensors, generator: str) -> dict[str, Tensor]:
    """The averaged weights, and of the others what averages lack: the statistics of norms that deploy each image's."""
    averaged = below(tensors, f"{_AVERAGE}{generator}.")
    live = below(tensors, f"generators.{generator}.") if averaged else {}
    return {name: tensor for name, tensor in live.items() if name.rpartition(".")[2] in STATISTICS} | averaged
