"""Batches on their way from the loader to the networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2i.games.game import Batch

RawBatch = Mapping[str, NDArray[np.uint8]]


def prepare(raw: RawBatch, device: torch.device, memory_format: torch.memory_format) -> Batch:
    """Moves uint8 images `[N, H, W, C]` to the device and only there makes them `[N, C, H, W]` in [-1, 1]."""
    return {name: _images(array, device, memory_format) for name, array in raw.items()}


def _images(array: NDArray[np.uint8], device: torch.device, memory_format: torch.memory_format) -> Tensor:
    pixels = torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True).permute(0, 3, 1, 2)
    return pixels.float().div_(127.5).sub_(1).contiguous(memory_format=memory_format)
