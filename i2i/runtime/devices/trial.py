"""Whether a device works here, and what it lacks: onnxruntime quietly does without one that it cannot use."""

from __future__ import annotations

import ctypes
import io
import re
import sys
from contextlib import nullcontext, redirect_stdout
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

from i2i.errors import DeviceError, OutOfMemoryError
from i2i.runtime.devices import tensorrt
from i2i.runtime.devices.providers import PROVIDERS, Opener, lacks_memory, operators
from i2i.runtime.model.messages import model, node, value
from i2i.runtime.model.onnxfile import shown

if TYPE_CHECKING:
    from i2i.runtime.devices.device import Device, Kind

_ONLY_ON: Final[dict[Kind, tuple[str, str]]] = {"coreml": ("darwin", "macOS"), "directml": ("win32", "Windows")}


def require(device: Device) -> None:
    """Raises DeviceError for a device that does not work here."""
    if device.kind != "cpu" and (found := problem(device)):
        raise DeviceError(f"device '{device}': {found[0]}", found[1])


def problem(device: Device) -> tuple[str, str] | None:
    """Why a device does not work here, and what to do about it; None where it does."""
    try:
        return tried(device)
    except OutOfMemoryError:
        return "its memory does not suffice", "Use cpu, or end what else takes it."


@cache
def tried(device: Device) -> tuple[str, str] | None:
    """Why a device does not work here, found once; raises OutOfMemoryError, which may be over the next time.

    A convolution is run on it: onnxruntime lists a provider whose libraries are missing, silently opens a model without
    it, and looks for cuDNN only when it comes to the first convolution.
    """
    provider = PROVIDERS[device.kind]
    if provider.name not in onnxruntime.get_available_providers():
        package: str = getattr(onnxruntime, "package_name", "onnxruntime")
        reason = f"{package} {onnxruntime.__version__} is built without {provider.name}"
        system, name = _ONLY_ON.get(device.kind, (sys.platform, ""))
        if system != sys.platform:
            return reason, f"Use cpu: this device is there on {name} alone."
        return reason, f"Use cpu, or: pip uninstall {package} && pip install '{provider.package}'"
    said = io.StringIO()
    if device.kind in ("cuda", "tensorrt"):
        with redirect_stdout(said):  # it prints which libraries it misses
            onnxruntime.preload_dlls(directory="")  # of pip's nvidia packages or the system, and never torch's
    if device.kind == "tensorrt":
        tensorrt.load_libraries()
    try:
        with TemporaryDirectory(ignore_cleanup_errors=True) if device.kind == "tensorrt" else nullcontext() as folder:
            engines = Path(folder) if folder else None
            inference = Opener(device, Path("convolution"), engines=engines).open(_convolution())
            taken = operators(inference)
            if taken and provider.name not in taken:
                return "it takes no convolution", "Use cpu."
            if device.kind == "tensorrt":  # to run it would mean to build an engine
                return None
            made = inference.run(["y"], {"x": np.full((1, 1, 8, 8), 0.5, np.float32)})[0]
        reason = f"it computes 2 x 0.5 as {made.flat[0]}"
        if np.allclose(made, 1):
            return None
    except DeviceError:  # the provider is not there, and onnxruntime has not said why
        if device.kind == "openvino" and device.part != "cpu":
            return f"OpenVINO finds no {device.part.upper()}", "Use openvino, or install what Intel's driver needs."
        reason = _missing(device.kind, said.getvalue()) or "onnxruntime cannot use it, and does not say why"
    except Exception as error:  # onnxruntime's errors have no common base but this
        if isinstance(error, OutOfMemoryError) or lacks_memory(error):
            raise OutOfMemoryError(f"device '{device}': no memory for a convolution") from error
        reason = _missing(device.kind, said.getvalue()) or shown(str(error.__cause__ or error))
    if "libnvinfer" in reason or "nvonnxparser" in reason:
        build: str = getattr(onnxruntime, "cuda_version", "")
        package = f"tensorrt-cu{build.partition('.')[0]}-libs"
        version = re.search(r"\.so\.(\d+)", reason)
        return reason, f"Use cuda, or: pip install '{package}{f'=={version[1]}.*' if version else ''}'"
    if "libcuda.so" in reason:
        return reason, "Use cpu, or install the NVIDIA driver of this GPU."
    return reason, f"Use cpu, or install what is missing: pip install '{provider.package}'"


def _missing(kind: Kind, said: str) -> str:
    """Which library the provider lacks: what the preloading said, or what comes of loading the provider by hand.

    To be called where onnxruntime has tried to load it, and has failed.
    """
    if found := re.findall(r"^Failed to load (?:.*[/\\])?(\S+):", said, re.MULTILINE):
        return f"{', '.join(found)} {'is' if len(found) == 1 else 'are'} not found"
    suffix = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    stem = f"{'' if sys.platform == 'win32' else 'lib'}onnxruntime_providers_{kind}{suffix}"
    library = Path(onnxruntime.__file__).parent / "capi" / stem
    if library.is_file():
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            return re.sub(r": cannot open shared object file: .*", " is not found", str(error))
    return ""


def _convolution() -> bytes:
    """A model, `y = 2 x` of `[1, 1, 8, 8]`, as a convolution."""
    given, made = (value(name, np.dtype(np.float32), (1, 1, 8, 8)) for name in "xy")
    return model([node("Conv", ["x", "w"], "y")], {"w": np.full((1, 1, 1, 1), 2, np.float32)}, [given], [made])
