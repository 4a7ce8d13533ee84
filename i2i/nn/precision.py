"""Arithmetic that lower precisions are not enough for."""

from __future__ import annotations

import torch
from torch import Tensor


def precise(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 where it is already."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
