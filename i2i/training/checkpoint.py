"""Checkpoints: all that is needed to go on bit for bit, in safetensors and JSON, whole or absent.

`checkpoints/step-N/weights.safetensors` holds every tensor: networks, averaged generators, both optimizers' moments,
image pools, random states, and what the trainer adds. `state.json` beside it holds the position, the best score so far,
the size and the digest of the tensors, and of which configuration and which versions they are.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from i2i.config import RunConfig
from i2i.errors import RunError
from i2i.files import replacing
from i2i.training.saved import (
    STATE,
    WEIGHTS,
    Best,
    Checkpoint,
    digest_of,
    discard,
    find,
    look,
    newest_whole,
    note_best,
    place,
    prune,
    sweep,
    whole,
)
from i2i.training.trainer import Trainer
from i2i.version import __version__

__all__ = [
    "Best",
    "Checkpoint",
    "Tensors",
    "averaged",
    "below",
    "find",
    "machine",
    "newest_whole",
    "note_best",
    "prune",
    "restore",
    "save",
    "save_averaged",
    "sweep",
]

Tensors = dict[str, Tensor]

_EXTRA: Final = "extra."


def save(trainer: Trainer, best: Best | None, folder: Path, config: RunConfig | None = None) -> Checkpoint:
    """Writes `folder/step-N`; raises I2IError, and leaves nothing, where the disk is full or refuses.

    config: what decided the training, to be compared when somebody goes on with it.
    """
    told: dict[str, Any] = {} if config is None else {"config": config.model_dump(mode="json")}
    told["machine"] = machine(trainer)
    return _save(lambda: _collect(trainer), trainer.step, best, folder, told)


def machine(trainer: Trainer) -> dict[str, object]:
    """Of what kind the machine is that a trainer plays on, as far as the last bits of its weights depend on it."""
    computes = trainer.type if trainer.autocast is None else trainer.autocast
    device = trainer.device.type if trainer.device.type != "cuda" else torch.cuda.get_device_name(trainer.device)
    there = {"device": device, "precision": str(computes).removeprefix("torch."), "processes": trainer.world.size}
    return there | ({"threads": torch.get_num_threads()} if device == "cpu" else {})


def save_averaged(generators: Mapping[str, Tensor], best: Best, folder: Path) -> Checkpoint:
    """Writes a checkpoint of nothing but averaged generators, such as imported ones: nobody can go on with it."""
    tensors = {f"average.{name}": tensor.contiguous() for name, tensor in generators.items()}
    return _save(lambda: tensors, best.step, best, folder, {})


def _save(
    collect: Callable[[], Tensors], step: int, best: Best | None, folder: Path, told: Mapping[str, Any]
) -> Checkpoint:
    path = place(folder, step)
    there = whole(path)
    if there is not None:  # the same step of the same run holds the same
        return there
    versions = {"i2i": __version__, "python": platform.python_version(), "torch": torch.__version__}
    with replacing(path) as aside:
        aside.mkdir()
        tensors = collect()
        _write(tensors, aside / WEIGHTS)
        state = {
            "step": step,
            "best": None if best is None else asdict(best),
            "weights": {"size": (aside / WEIGHTS).stat().st_size, "sha256": digest_of(aside / WEIGHTS)},
            "extra": sorted(name.removeprefix(_EXTRA) for name in tensors if name.startswith(_EXTRA)),
            "versions": versions,
            **told,
        }
        (aside / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        if os.path.lexists(path):  # damaged: and no folder is renamed over another
            discard(path)
    saved = look(path)
    for later in find(folder):  # of a future that this training did not have; a damaged one must not count as newest
        if later.step > step and whole(later.path) is None:
            discard(later.path)
    return saved


def restore(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Puts the trainer where it was; raises RunError where the checkpoint is of other networks."""
    tensors = checkpoint.tensors()
    networks = _networks(trainer)
    missing = sorted(networks.keys() - tensors.keys())
    shaped = sorted(name for name in networks.keys() & tensors.keys() if networks[name].shape != tensors[name].shape)
    if missing or shaped:
        raise RunError(
            f"{checkpoint.path}: of other networks: {len(missing)} tensors are missing, {len(shaped)} of another shape "
            f"({', '.join((missing + shaped)[:3])}, ...)",
            "Resume with the configuration that the run was started with.",
        )
    with torch.no_grad():
        for name, tensor in networks.items():
            tensor.copy_(tensors[name])
        for player, optimizer in trainer.optimizers.items():
            for name, parameter in getattr(trainer.game, player).named_parameters():
                saved = below(tensors, f"optimizer.{player}.{name}.")
                # Moments lie in memory as their parameter does: the same kernels then give the same bits.
                optimizer.state[parameter] = {
                    key: torch.empty_like(parameter).copy_(value)
                    if value.shape == parameter.shape
                    else value.to(parameter.device if trainer.config.fused else "cpu")
                    for key, value in saved.items()
                }
    pools = _count(tensors, "pool.")
    del trainer.pools[pools:]  # of a training that goes back
    for index in range(pools):
        kept = below(tensors, f"pool.{index}.")
        trainer.pool(index).restore({name: value.to(trainer.device) for name, value in kept.items()})
    torch.set_rng_state(tensors["random.cpu"])
    if trainer.device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], trainer.device)
    trainer.restore_extra(below(tensors, _EXTRA))
    trainer.step = checkpoint.step


def averaged(checkpoint: Checkpoint) -> Tensors:
    """The weights of the averaged generators alone."""
    return below(checkpoint.tensors(), "average.")


def _write(tensors: Tensors, path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # what it raises for a full disk is no OSError
        number = re.search(r"\(os error (\d+)\)", str(error))
        raise (
            OSError(str(error)) if number is None else OSError(int(number[1]), os.strerror(int(number[1])))
        ) from error


def _networks(trainer: Trainer) -> Tensors:
    live = trainer.game.state_dict()
    return dict(live) | {
        f"average.{name}": value for name, value in trainer.average.game.generators.state_dict().items()
    }


def _collect(trainer: Trainer) -> Tensors:
    tensors = _networks(trainer) | dict(_moments(trainer)) | {"random.cpu": torch.get_rng_state()}
    for index, pool in enumerate(trainer.pools):
        tensors |= {f"pool.{index}.{name}": value for name, value in pool.state().items()}
    tensors |= {f"{_EXTRA}{name}": value for name, value in trainer.extra().items()}
    if trainer.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(trainer.device)
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _moments(trainer: Trainer) -> Iterator[tuple[str, Tensor]]:
    for player, optimizer in trainer.optimizers.items():
        for name, parameter in getattr(trainer.game, player).named_parameters():
            for key, value in optimizer.state[parameter].items():
                yield f"optimizer.{player}.{name}.{key}", value


def below(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _count(tensors: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith(prefix)})
