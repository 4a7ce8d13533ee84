"""Stands in for libcuda.so.1, which is the border to a machine that the tests do not have."""

import ctypes
from typing import Any


class Driver:
    """A driver with GPUs of 80 GB, half of it free; `status` is what cuInit returns."""

    def __init__(self, status: int = 0, devices: int = 0) -> None:
        self.status, self.devices = status, devices
        self.contexts = 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.devices
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 13020
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        assert index < self.devices
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        name.value = f"GPU number {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        memory._obj.value = 80_000_000_000
        return 0

    def cuDeviceGetAttribute(self, number: Any, attribute: int, device: Any) -> int:  # noqa: N802
        number._obj.value = {75: 9, 76: 0}[attribute]
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:  # noqa: N802
        self.contexts += 1
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: Any) -> int:  # noqa: N802
        self.contexts -= 1
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:  # noqa: N802
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        return 0

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:  # noqa: N802
        assert self.contexts
        free._obj.value, total._obj.value = 40_000_000_000, 80_000_000_000
        return 0


def install(monkeypatch: Any, found: Driver | None) -> None:
    """Makes `found` the NVIDIA driver of this machine; None: it has none."""
    real = ctypes.CDLL

    def load(name: Any, *rest: Any, **options: Any) -> Any:
        if name in ("libcuda.so.1", "nvcuda.dll"):
            if found is None:
                raise OSError(f"{name}: cannot open shared object file")
            return found
        return real(name, *rest, **options)

    monkeypatch.setattr(ctypes, "CDLL", load)
