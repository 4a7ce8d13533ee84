"""Weights to begin with: those of an earlier run, or of a file of imported ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from i2i.errors import RunError
from i2i.files import replacing
from i2i.games.game import Game
from i2i.training import checkpoint as checkpoints
from i2i.training.best import best_checkpoint
from i2i.training.run import Run

SUFFIX: Final = ".safetensors"
DECIDING: Final = frozenset({"size", "input_channels", "target_channels", "scale", "direction", "classes"})
"""The keys of `data` that decide networks."""
_PLUGIN, _SETTINGS = "i2i.plugin", "i2i.settings"


@dataclass(frozen=True)
class Start:
    """Where generators come from that a training begins with.

    plugin: whose they are; settings: of that plugin, with which its networks are these ones, where that is known.
    """

    path: Path
    plugin: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Start:
        """Of a run's folder, or of a file that `i2i import` wrote; raises RunError where it is neither."""
        if path.suffix != SUFFIX or path.is_dir():
            facts = Run.open(path).facts()
            return cls(path, str(facts["plugin"]), dict(facts.get("imported", {}).get("settings", {})))
        try:
            with safe_open(path, framework="numpy") as file:
                said = file.metadata() or {}
            return cls(path, said[_PLUGIN], _networks(json.loads(said[_SETTINGS])))
        except FileNotFoundError:
            raise RunError(f"{path}: there is no such file", "Give a run, or a file that `i2i import` wrote.") from None
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path}: cannot be read: {error}", "Import the checkpoint again: `i2i import`.") from error
        except (KeyError, ValueError, RecursionError):
            raise RunError(
                f"{path}: does not say of which networks it is",
                f"Import it, which finds that out: i2i import {path} -o imported{SUFFIX}",
            ) from None

    def weights(self) -> dict[str, Tensor]:
        """The tensors of the generators by name, on the CPU: of a run the best averaged ones; raises RunError."""
        if self.path.suffix != SUFFIX or self.path.is_dir():
            checkpoint, _ = best_checkpoint(Run.open(self.path))
            return checkpoints.averaged(checkpoint)
        try:
            return load_file(self.path)
        except (OSError, SafetensorError) as error:
            raise RunError(f"{self.path}: cannot be read: {error}", "Import it again: `i2i import`.") from error


def _networks(settings: object) -> dict[str, Any]:
    """Settings that decide networks, and nothing else that a file could ask for; raises ValueError."""
    if not isinstance(settings, dict):
        raise ValueError("no mapping")
    game, data = settings.get("game", {}), settings.get("data", {})
    if not (isinstance(game, dict) and isinstance(data, dict)) or settings.keys() - {"game", "data"}:
        raise ValueError("no settings of networks")
    if data.keys() - DECIDING:
        raise ValueError("settings of data that decide no network")
    return {"game": game, "data": data}


def save_start(path: Path, plugin: str, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Writes a file that `Start.open` reads; raises I2IError where the system refuses."""
    said = {_PLUGIN: plugin, _SETTINGS: json.dumps(settings)}
    with replacing(path) as aside:
        try:
            save_file({name: tensor.contiguous() for name, tensor in weights.items()}, aside, said)
        except SafetensorError as error:  # what it raises for a full disk is no OSError
            raise OSError(str(error)) from error


def start_from(game: Game, start: Start) -> list[str]:
    """Gives the generators of `game` the weights of `start`; returns the names of those for which it has none.

    Batch norms keep the averages that they have where `start` has none, as a run that deploys the statistics of each
    image. Raises RunError where a generator of the same name is another network.
    """
    weights = start.weights()
    there = {name.partition(".")[0] for name in weights}
    begun: dict[str, nn.Module] = {name: network for name, network in game.generators.items() if name in there}
    own = {name: tensor for name, tensor in game.generators.state_dict().items() if name.partition(".")[0] in begun}
    wanted = {name for name, _ in game.generators.named_parameters() if name in own}
    unlike = sorted(
        (wanted - weights.keys())
        | (weights.keys() - own.keys())
        | {name for name in weights.keys() & own.keys() if weights[name].shape != own[name].shape}
    )
    if unlike:
        raise RunError(
            f"{start.path}: its generators are other networks: {len(unlike)} tensors differ, such as {unlike[0]}",
            f"They are of {start.plugin}: start with the same plugin and the same `game` settings.",
        )
    game.generators.load_state_dict(weights, strict=False)
    return [name for name in game.generators if name not in begun]
