"""Batches on their way from the loader to the networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.games.game import Batch

RawBatch = Mapping[str, NDArray[Any]]


def prepare(raw: RawBatch, device: torch.device, memory_format: torch.memory_format) -> Batch:
    """Moves a batch to the device: uint8 images `[N, H, W, C]`, only there made `[N, C, H, W]` in [-1, 1].

    Labels `[N]` and noise `[N, Z]` stay what they are.
    """
    return {
        name: _images(array, device, memory_format) if array.dtype == np.uint8 else _moved(array, device)
        for name, array in raw.items()
    }


def _moved(array: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True)


def _images(array: NDArray[Any], device: torch.device, memory_format: torch.memory_format) -> Tensor:
    pixels = _moved(array, device).permute(0, 3, 1, 2)
    return pixels.float().div_(127.5).sub_(1).contiguous(memory_format=memory_format)
