"""Checkpoints: all that is needed to go on bit for bit, in safetensors and JSON, whole or absent.

`checkpoints/step-N/weights.safetensors` holds every tensor: networks, averaged generators, both optimizers' moments,
image pools, random states. `state.json` beside it holds the position and the best score so far.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from i2i.errors import RunError
from i2i.files import replacing
from i2i.training.trainer import Trainer

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Best:
    """The step whose averaged generators scored best on the validation images."""

    step: int
    metric: str
    score: float


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk."""

    path: Path
    step: int
    best: Best | None

    def tensors(self) -> Tensors:
        """All its tensors, on the CPU; raises RunError where the file is damaged."""
        try:
            return load_file(self.path / "weights.safetensors")
        except (OSError, SafetensorError) as error:
            raise RunError(
                f"{self.path}: damaged: {error}", "Remove this folder; `--resume` then takes the checkpoint before it."
            ) from error


def save(trainer: Trainer, best: Best | None, folder: Path) -> Checkpoint:
    """Writes `folder/step-N`; raises I2IError, and leaves nothing, where the disk is full or refuses."""
    return _save(lambda: _collect(trainer), trainer.step, best, folder)


def save_averaged(generators: Mapping[str, Tensor], best: Best, folder: Path) -> Checkpoint:
    """Writes a checkpoint of nothing but averaged generators, such as imported ones: nobody can go on with it."""
    tensors = {f"average.{name}": tensor.contiguous() for name, tensor in generators.items()}
    return _save(lambda: tensors, best.step, best, folder)


def _save(collect: Callable[[], Tensors], step: int, best: Best | None, folder: Path) -> Checkpoint:
    path = folder / f"step-{step:07d}"
    state = {"step": step, "best": None if best is None else asdict(best), "torch": torch.__version__}
    if not path.exists():  # the same step of the same run holds the same
        with replacing(path) as aside:
            aside.mkdir()
            _write(collect(), aside / "weights.safetensors")
            (aside / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    return Checkpoint(path, step, best)


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
    for index in range(_count(tensors, "pool.")):
        kept = below(tensors, f"pool.{index}.")
        trainer.pool(index).restore({name: value.to(trainer.device) for name, value in kept.items()})
    torch.set_rng_state(tensors["random.cpu"])
    if trainer.device.type == "cuda" and "random.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random.cuda"], trainer.device)
    trainer.step = checkpoint.step


def averaged(checkpoint: Checkpoint) -> Tensors:
    """The weights of the averaged generators alone."""
    return below(checkpoint.tensors(), "average.")


def find(folder: Path) -> list[Checkpoint]:
    """The checkpoints in `folder`, oldest first; what was never finished has another name and is not among them."""
    found = []
    for path in folder.glob("step-*"):
        try:
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            best = None if state["best"] is None else Best(**state["best"])
            found.append(Checkpoint(path, int(state["step"]), best))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}: damaged: {error}", "Remove this folder.") from error
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def newest(found: Sequence[Checkpoint]) -> Checkpoint:
    """The last of `found`; without its best score where the checkpoint of that is no longer there."""
    last = found[-1]
    there = last.best is not None and last.best.step in {checkpoint.step for checkpoint in found}
    return last if there else replace(last, best=None)


def sweep(folder: Path) -> None:
    """Removes what a process that was killed in the middle of saving or pruning has left."""
    for left in folder.glob(".step-*"):
        shutil.rmtree(left, ignore_errors=True)


def prune(folder: Path, keep: int, best: Best | None) -> None:
    """Removes all but the `keep` newest checkpoints and the best one."""
    for checkpoint in find(folder)[:-keep]:
        if best is None or checkpoint.step != best.step:
            doomed = checkpoint.path.with_name(f".{checkpoint.path.name}.old")
            checkpoint.path.rename(doomed)  # so that a crash in mid-removal leaves no half checkpoint of that name
            shutil.rmtree(doomed, ignore_errors=True)


def _write(tensors: Tensors, path: Path) -> None:
    try:
        save_file(tensors, path)
    except SafetensorError as error:  # what it raises for a full disk is no OSError
        raise OSError(str(error)) from error


def _networks(trainer: Trainer) -> Tensors:
    live = trainer.game.state_dict()
    return dict(live) | {
        f"average.{name}": value for name, value in trainer.average.game.generators.state_dict().items()
    }


def _collect(trainer: Trainer) -> Tensors:
    tensors = _networks(trainer) | dict(_moments(trainer)) | {"random.cpu": torch.get_rng_state()}
    for index, pool in enumerate(trainer.pools):
        tensors |= {f"pool.{index}.{name}": value for name, value in pool.state().items()}
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
