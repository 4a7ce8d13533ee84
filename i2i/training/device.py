"""Which device trains, and in which precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch

from i2i.errors import DeviceError


def resolve(name: str) -> torch.device:
    """The device called `auto`, `cpu`, `cuda` or `cuda:N`; raises DeviceError where it is not there.

    What was asked for is what trains; only `auto` chooses.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if there else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= there:
        reason = "torch sees no CUDA device" if there == 0 else f"torch sees {there} CUDA device(s), numbered from 0"
        raise DeviceError(
            f"--device {name}: {reason}",
            "Check the driver with `nvidia-smi`, or train on the processor with `--device cpu`.",
        )
    return device


Precision = Literal["auto", "float32", "bfloat16", "float64"]


def autocast_type(device: torch.device, precision: Precision) -> torch.dtype | None:
    """The type that networks compute in, or None for their own; `auto` takes bfloat16 where it is in hardware."""
    if precision in ("float32", "float64"):
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        fast = torch.cuda.get_device_capability(device) >= (8, 0)
    else:  # get_capabilities came with torch 2.12; before it, float32 is the safe choice
        known: Mapping[str, object] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        fast = bool(known.get("avx512_bf16"))
    return torch.bfloat16 if fast else None


def describe(device: torch.device, precision: Precision, count: int = 1) -> str:
    """The device, of each of so many processes, and its precision in words."""
    autocast = autocast_type(device, precision)
    how = ("float64" if precision == "float64" else "float32") if autocast is None else str(autocast).partition(".")[2]
    each = f"{count} processes, each on " if count > 1 else ""
    if device.type == "cuda":
        return f"{each}{torch.cuda.get_device_name(device)} ({how})"
    return f"{each}CPU, {torch.get_num_threads()} threads ({how})"
