"""Where a model runs: which device is meant, and how many cores are ours."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from i2i.cgroup import folders, text
from i2i.errors import DeviceError, did_you_mean
from i2i.runtime.devices import cuda

Kind = Literal["cpu", "cuda", "tensorrt", "coreml", "directml", "openvino"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
FORMS: Final = "auto|cpu|cuda[:N]|tensorrt[:N]|coreml|directml[:N]|openvino[:gpu|:npu]"
# Of the kinds of which a machine may have several: what may follow the colon, and what nothing means.
_PARTS: Final = {
    "cuda": (r"\d{1,4}", "0"),
    "tensorrt": (r"\d{1,4}", "0"),
    "directml": (r"\d{1,4}", "0"),
    "openvino": ("cpu|gpu|npu", "cpu"),
}


@dataclass(frozen=True)
class Device:
    """A processor, and whether the user named it: what was named is never exchanged for another.

    part: which one of its kind: a GPU's number, or `cpu`, `gpu` or `npu` of OpenVINO.
    """

    kind: Kind
    part: str = ""
    named: bool = field(default=True, compare=False)  # what works does not depend on it

    def __str__(self) -> str:
        return f"{self.kind}:{self.part}" if self.part else self.kind


def choose(wanted: str) -> Device:
    """The device that `auto` or a name like `cuda:1` means on this machine.

    `auto` is a CUDA device where the driver has one, else the CPU. CoreML, DirectML and OpenVINO are taken only by
    name: they round, and split a model among processors, in ways of their own.
    Raises DeviceError for an unknown name, and for a GPU that the NVIDIA driver does not have.
    """
    if wanted == "auto":
        gpus, _ = cuda.count()
        return Device("cuda", "0", named=False) if gpus else Device("cpu", named=False)
    kind, colon, part = wanted.partition(":")
    form, usual = _PARTS.get(kind, ("", ""))
    known = [name for name in KINDS if name == kind]
    if not known or (colon and not (form and re.fullmatch(form, part))):
        guess = ", did you mean 'cuda'?" if wanted.lower() == "gpu" else did_you_mean(kind, KINDS)
        raise DeviceError(f"device '{wanted}': unknown{guess if not known else ''}", f"Choose {FORMS}.")
    device = Device(known[0], part or usual)
    if device.kind in ("cuda", "tensorrt"):
        gpus, problem = cuda.count()
        if problem:
            raise DeviceError(f"device '{wanted}': {problem}", "Use cpu, or install the NVIDIA driver of this GPU.")
        if int(device.part) >= gpus:
            there = f"there is only {kind}:0" if gpus == 1 else f"there are {kind}:0 to {kind}:{gpus - 1}"
            raise DeviceError(f"device '{wanted}': {there}", "Choose one of those, or cpu.")
    return device


@dataclass(frozen=True)
class Cores:
    """What bounds the number of threads: the machine's logical cores, those that the affinity allows, and a quota.

    physical: the cores behind the allowed ones; two hyper-threads of one core do not make convolutions faster.
    quota: the whole cores that the control groups grant, rounded up; None where they set no bound.
    """

    machine: int
    allowed: int
    physical: int
    quota: int | None

    @property
    def threads(self) -> int:
        """How many threads a model is given."""
        return max(1, min(self.physical, self.quota or self.physical))


def cores(root: Path = Path("/")) -> Cores:
    """The cores of the machine and of this process.

    onnxruntime's own choice is the machine's cores, which is far too many threads in a container.
    """
    machine = os.cpu_count() or 1
    if sys.platform != "linux":
        return Cores(machine, machine, machine, None)
    cpus = os.sched_getaffinity(0)
    topology = root / "sys/devices/system/cpu"
    siblings = {text(topology / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in cpus}
    return Cores(machine, len(cpus), len(siblings), min(_quotas(root), default=None))


def usable_cores() -> int:
    """How many threads a model is given: the physical cores that this process may use, by affinity and quota."""
    return cores().threads


def _quotas(root: Path) -> list[int]:
    """The quota of each control group that holds this process, in whole cores."""
    quotas = []
    for folder in folders("cpu", root):
        for limit in (
            text(folder / "cpu.max"),
            " ".join(text(folder / f"cpu.cfs_{it}_us") for it in ("quota", "period")),
        ):
            quota, _, period = limit.partition(" ")
            if quota.isdigit() and period.isdigit() and int(quota) and int(period):  # not "max", nor -1
                quotas.append(-(-int(quota) // int(period)))
    return quotas
