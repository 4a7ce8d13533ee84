"""What the NVIDIA driver says of its GPUs; what onnxruntime was built with says nothing about the machine."""

from __future__ import annotations

import ctypes
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from i2i.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIBRARY: Final = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_CAPABILITY: Final = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


class Gpu(NamedTuple):
    """A GPU: its name, its bytes of memory, and its compute capability, like `9.0`."""

    name: str
    memory: int
    capability: str


def count() -> tuple[int, str]:
    """How many GPUs the driver offers and, where none, why."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return 0, f"there is no NVIDIA driver ({_LIBRARY} is not found)"
    status = driver.cuInit(0)
    if status != 0:
        return 0, f"the NVIDIA driver offers no device (cuInit returned {status}; is CUDA_VISIBLE_DEVICES empty?)"
    found = ctypes.c_int(0)
    status = driver.cuDeviceGetCount(ctypes.byref(found))
    if status != 0 or found.value == 0:
        return 0, f"the NVIDIA driver offers no device (cuDeviceGetCount returned {status})"
    return found.value, ""


def version() -> str:
    """The newest CUDA that the driver can run, like `13.0`; to be asked where `count` found a GPU."""
    number = ctypes.c_int(0)
    ctypes.CDLL(_LIBRARY).cuDriverGetVersion(ctypes.byref(number))
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def gpu(index: int) -> Gpu:
    """What the driver says of GPU number `index`, which is there; raises DeviceError where it fails."""
    driver = ctypes.CDLL(_LIBRARY)
    device = _device(driver, index)
    name = ctypes.create_string_buffer(256)
    _call(driver, "cuDeviceGetName", name, len(name), device)
    memory = ctypes.c_size_t(0)
    _call(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    numbers = [ctypes.c_int(0) for _ in _CAPABILITY]
    for number, attribute in zip(numbers, _CAPABILITY, strict=True):
        _call(driver, "cuDeviceGetAttribute", ctypes.byref(number), attribute, device)
    return Gpu(name.value.decode(errors="replace"), memory.value, ".".join(str(number.value) for number in numbers))


def free_memory(index: int) -> int:
    """The bytes that are free on GPU number `index`, which is there; raises DeviceError where the driver fails."""
    driver = ctypes.CDLL(_LIBRARY)
    free, total = ctypes.c_size_t(0), ctypes.c_size_t(0)
    with _context(driver, index):
        _call(driver, "cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    return free.value


def _device(driver: Any, index: int) -> ctypes.c_int:
    device = ctypes.c_int(0)
    _call(driver, "cuDeviceGet", ctypes.byref(device), index)
    return device


def _call(driver: Any, name: str, *arguments: Any) -> None:
    if status := getattr(driver, name)(*arguments):
        raise DeviceError(f"the NVIDIA driver fails: {name} returned {status}", "Use cpu, or see nvidia-smi.")


@contextmanager
def _context(driver: Any, index: int) -> Iterator[None]:
    """The GPU's primary context, which onnxruntime uses too, as the one that calls go to."""
    device, context = _device(driver, index), ctypes.c_void_p()
    _call(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        _call(driver, "cuCtxPushCurrent_v2", context)
        try:
            yield
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(context))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(device)
