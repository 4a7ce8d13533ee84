"""The weights of one network, out of what else a project saves with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from torch import Tensor

from i2i.errors import CheckpointError

# Where projects keep the generator, best first: averaged weights before those that were averaged.
_WRAPPERS: Final = (
    "params_ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
    "generator_ema",
    "G_ema",
    "g_ema",
    "ema",
    "params",
    "state_dict",
    "model_state_dict",
    "generator_state_dict",
    "model",
    "generator",
    "netG",
    "net_g",
    "net_G",
    "G",
    "g",
    "net",
    "network",
    "weights",
)
_TRAINING: Final = re.compile(  # names of their own, or in compound ones: no part of a word such as "upscaler"
    r"(^|[^a-z]|lr|grad|amp)(optim(?!al)|sched|scaler)|param_groups", re.IGNORECASE
)
_PREFIX: Final = re.compile(r"^((module|_orig_mod)\.)+|(?<=\.)_orig_mod\.")  # of DataParallel, of torch.compile
_DEEPEST: Final = 4  # of mappings inside each other: a file may hold one that holds itself
_NETWORK: Final = "Give the file of the generator, such as latest_net_G.pth or net_g_latest.pth."


def state_dict(found: object, path: Path) -> dict[str, Tensor]:
    """The tensors of the network by name, without what wrappers put before them; raises CheckpointError."""
    if isinstance(found, Tensor):
        raise CheckpointError(f"{path}: a single tensor, not the weights of a network", _NETWORK)
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path}: an object of type {type(found).__name__}, no weights of a network", _NETWORK)
    tensors: dict[str, Tensor] = {}
    for name, value in _unwrapped(found, path).items():
        if isinstance(value, Tensor):
            plain = _PREFIX.sub("", str(name))
            if plain in tensors:
                raise CheckpointError(f"{path}: two tensors are called {plain}, but for what wraps them", _NETWORK)
            tensors[plain] = value
    return tensors


def _unwrapped(found: Mapping[object, object], path: Path, depth: int = _DEEPEST) -> Mapping[object, object]:
    if {"state", "param_groups"} <= found.keys():
        raise CheckpointError(f"{path}: the state of an optimizer, not the weights of a network", _NETWORK)
    inside = {str(name): value for name, value in found.items() if isinstance(value, Mapping) and _has_tensors(value)}
    networks = {name: value for name, value in inside.items() if not _TRAINING.search(name)}
    chosen: str | None = next((name for name in _WRAPPERS if name in networks), None)
    if chosen is None and sum(isinstance(value, Tensor) for value in found.values()) > 1:
        return found  # the network itself, and something beside it
    if chosen is None and len(networks) == 1:
        (chosen,) = networks
    if chosen is not None and depth > 0:
        return _unwrapped(networks[chosen], path, depth - 1)
    if networks and chosen is None:
        raise CheckpointError(
            f"{path}: holds several networks: {', '.join(sorted(networks))}: which one?",
            "Save the one that you want alone, such as "
            f"torch.save(torch.load({path.name!r})[{min(networks)!r}], 'generator.pth').",
        )
    if any(isinstance(value, Tensor) for value in found.values()):
        return found
    if any(_TRAINING.search(str(name)) for name in found):
        raise CheckpointError(f"{path}: the state of a training, without the weights of a network", _NETWORK)
    raise CheckpointError(f"{path}: has no tensors in it", _NETWORK)


def _has_tensors(value: Mapping[object, object], depth: int = _DEEPEST) -> bool:
    return any(
        isinstance(inner, Tensor) or (isinstance(inner, Mapping) and depth > 0 and _has_tensors(inner, depth - 1))
        for inner in value.values()
    )
