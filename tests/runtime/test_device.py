import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from i2i.errors import DeviceError
from i2i.runtime import device
from i2i.runtime.translator import Translator


class Driver:
    """Stands in for libcuda.so.1, which is the border to a machine that the tests do not have."""

    def __init__(self, status: int = 0, devices: int = 0) -> None:
        self.status, self.devices = status, devices

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.devices
        return 0


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    real = ctypes.CDLL

    def install(found: Driver | None) -> None:
        def load(name: Any, *rest: Any, **options: Any) -> Any:
            if name in ("libcuda.so.1", "nvcuda.dll"):
                if found is None:
                    raise OSError(f"{name}: cannot open shared object file")
                return found
            return real(name, *rest, **options)

        monkeypatch.setattr(ctypes, "CDLL", load)

    return install


def test_without_a_driver_auto_is_the_cpu_and_cuda_an_error(driver: Any, tmp_path: Path, models: Any) -> None:
    driver(None)
    path = models.build(tmp_path / "m.onnx")
    assert Translator.load(path).device == "cpu"
    with pytest.raises(
        DeviceError, match=r"(?s)device 'cuda': there is no NVIDIA driver \(.*\)\n  Use cpu, or install"
    ):
        Translator.load(path, "cuda")


@pytest.mark.parametrize("found", [Driver(status=100), Driver(devices=0)])
def test_a_driver_without_devices_is_no_gpu(driver: Any, found: Driver) -> None:
    driver(found)
    assert str(device.choose("auto")) == "cpu"
    with pytest.raises(DeviceError, match="offers no device"):
        device.choose("cuda:0")


def test_devices_are_counted(driver: Any) -> None:
    driver(Driver(devices=2))
    assert [str(device.choose(wanted)) for wanted in ("auto", "cuda", "cuda:1", "cpu")] == [
        "cuda:0",
        "cuda:0",
        "cuda:1",
        "cpu",
    ]
    with pytest.raises(DeviceError, match="device 'cuda:2': the CUDA devices are cuda:0 to cuda:1"):
        device.choose("cuda:2")


def test_a_gpu_that_onnxruntime_cannot_use_is_an_error_or_the_cpu(
    driver: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    driver(Driver(devices=1))
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: sys.stdout.write("Failed to load libcublasLt.so.13: no\n"))
    # As onnxruntime does without its libraries: the provider is listed, and the session silently has none of it.
    import onnxruntime

    real = onnxruntime.InferenceSession
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        "onnxruntime.InferenceSession",
        lambda path, options, providers, enable_fallback: real(path, options, providers=["CPUExecutionProvider"]),
    )
    path = models.build(tmp_path / "m.onnx")
    with pytest.raises(DeviceError, match=r"(?s)device 'cuda:0': .*libcublasLt.*\n  .*onnxruntime-gpu\[cuda,cudnn\]"):
        Translator.load(path, "cuda")
    translator = Translator.load(path, "auto")
    assert (translator.device, translator.provider) == ("cpu", "CPUExecutionProvider")
    assert "libcublasLt" in str(translator.note)
    pixels = np.full((2, 2, 3), 5, np.uint8)
    assert (translator(pixels) == 250).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("wrong", "guess"), [("gpu", "'cuda'"), ("CPU", "'cpu'"), ("cuda:x", ""), ("cuda:-1", "")])
def test_unknown_devices_are_named(wrong: str, guess: str) -> None:
    with pytest.raises(DeviceError, match=rf"(?s)device '{wrong}': unknown.*{guess}.*Choose auto, cpu, cuda"):
        device.choose(wrong)


@pytest.mark.skipif(sys.platform != "linux", reason="affinity and control groups are Linux's")
def test_cores_are_those_of_the_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = os.sched_getaffinity(0)
    one = min(everything)
    try:
        os.sched_setaffinity(0, {one})
        assert device.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, everything)
    assert 1 <= device.usable_cores() <= len(everything)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, [2]),
        ({"cpu.max": "max 100000\n"}, []),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, [4]),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, []),
        ({}, []),
    ],
)
def test_quota_of_the_control_group(tmp_path: Path, files: dict[str, str], cores: list[int]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert device.cgroup_quota(tmp_path) == cores
