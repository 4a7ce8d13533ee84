"""Where a model runs: which CUDA devices there are, and how many cores are ours."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from i2i.errors import DeviceError, did_you_mean


@dataclass(frozen=True)
class Device:
    """A processor, and whether the user named it: what was named is never exchanged for another."""

    kind: Literal["cpu", "cuda"]
    index: int = 0
    named: bool = True

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.kind == "cuda" else "cpu"


def choose(wanted: str) -> Device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` means on this machine; raises DeviceError where it has none."""
    if wanted == "cpu":
        return Device("cpu")
    if wanted == "auto":
        count, _ = cuda_devices()
        return Device("cuda" if count else "cpu", named=False)
    named = re.fullmatch(r"cuda(?::(\d{1,4}))?", wanted)
    if not named:
        guess = ", did you mean 'cuda'?" if wanted.lower() == "gpu" else did_you_mean(wanted, ("cpu", "cuda"))
        raise DeviceError(f"device '{wanted}': unknown{guess}", "Choose auto, cpu, cuda or cuda:N.")
    index = int(named[1] or 0)
    count, problem = cuda_devices()
    if problem:
        raise DeviceError(f"device '{wanted}': {problem}", "Use cpu, or install the NVIDIA driver of this GPU.")
    if index >= count:
        there = "the only CUDA device is cuda:0" if count == 1 else f"the CUDA devices are cuda:0 to cuda:{count - 1}"
        raise DeviceError(f"device '{wanted}': {there}", "Choose one of those, or cpu.")
    return Device("cuda", index)


def cuda_devices() -> tuple[int, str]:
    """How many CUDA devices the driver offers and, where none, why.

    The driver is asked itself: that onnxruntime was built with CUDA says nothing about the machine.
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return 0, f"there is no NVIDIA driver ({library} is not found)"
    status = driver.cuInit(0)
    if status != 0:
        return 0, f"the NVIDIA driver offers no device (cuInit returned {status}; is CUDA_VISIBLE_DEVICES empty?)"
    count = ctypes.c_int(0)
    status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status != 0 or count.value == 0:
        return 0, f"the NVIDIA driver offers no device (cuDeviceGetCount returned {status})"
    return count.value, ""


def usable_cores() -> int:
    """The physical cores that this process may use, by its affinity and its container's quota.

    onnxruntime's own choice is the machine's cores, which is far too many threads in a container.
    """
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cpus = os.sched_getaffinity(0)
    cores = len({_siblings(cpu) for cpu in cpus})
    return max(1, min([cores, *cgroup_quota()]))


def _siblings(cpu: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return str(cpu)


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """The whole cores of the control group's quota, rounded up; empty without one. Version 2 first, then version 1."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((root / file).read_text(encoding="ascii") for file in files).split()
            return [-(-int(quota) // int(period))] if int(quota) > 0 else []
        except (OSError, ValueError, ZeroDivisionError):  # not there, or "max"
            continue
    return []
