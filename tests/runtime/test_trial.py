"""The providers that the tests' machine lacks are stood in for at onnxruntime's border."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from i2i.errors import DeviceError
from i2i.runtime.devices import trial
from i2i.runtime.devices.device import Device, usable_cores
from i2i.runtime.devices.providers import PROVIDERS, Opener
from i2i.runtime.devices.trial import problem, require
from i2i.runtime.translator import Translator


@pytest.mark.parametrize("kind", ["cuda", "tensorrt", "coreml", "directml", "openvino"])
def test_a_provider_that_is_left_out_in_silence_is_an_error(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    monkeypatch.setattr(fake, "lacks", frozenset({PROVIDERS[kind].name}))
    with pytest.raises(DeviceError, match=rf"device '{kind}.*': \S.*\n  Use c"):
        Translator.load(models.build(tmp_path / "m.onnx"), kind)


def test_missing_libraries_are_named(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    def preload(directory: str) -> None:
        assert directory == ""  # where it is left out, torch's libraries are taken on Windows
        for name in ("/site/nvidia/cu13/lib/libcublasLt.so.13", "libcudart.so.13"):
            sys.stdout.write(f"Failed to load {name}: cannot open shared object file\n")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload)
    monkeypatch.setattr(fake, "lacks", frozenset({PROVIDERS["cuda"].name}))
    path = models.build(tmp_path / "m.onnx")
    with pytest.raises(DeviceError) as caught:
        Translator.load(path, "cuda")
    assert str(caught.value) == (
        "device 'cuda:0': libcublasLt.so.13, libcudart.so.13 are not found\n"
        "  Use cpu, or install what is missing: pip install 'onnxruntime-gpu[cuda,cudnn]'"
    )
    translator = Translator.load(path, "auto")
    assert (translator.device, translator.provider) == ("cpu", PROVIDERS["cpu"].name)
    assert "libcublasLt.so.13" in str(translator.note)
    assert (translator(np.full((2, 2, 3), 5, np.uint8)) == 250).all()
    assert capfd.readouterr() == ("", "")


def test_cudnn_is_missed_before_a_model_is_opened(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # onnxruntime looks for cuDNN only when it runs a convolution.
    def run(self: Any, outputs: Any, inputs: Any) -> Any:
        raise RuntimeError("cuDNN failure: libcudnn.so.9: cannot open\nand more lines")

    monkeypatch.setattr(fake, "run", run, raising=False)
    monkeypatch.setattr(trial, "_missing", lambda kind, said: "")
    with pytest.raises(DeviceError, match=r"device 'cuda:0': cuDNN failure: libcudnn.so.9: cannot open\n  Use cpu, or"):
        Translator.load(models.build(tmp_path / "m.onnx"), "cuda")


def test_a_device_that_computes_nonsense_is_not_used(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = [np.zeros((1, 1, 8, 8), np.float32)]
    monkeypatch.setattr(fake, "run", lambda self, outputs, inputs: nothing, raising=False)
    assert problem(Device("coreml")) == (
        "it computes 2 x 0.5 as 0.0",
        "Use cpu, or install what is missing: pip install 'onnxruntime'",
    )


@pytest.mark.parametrize(
    ("kind", "platform", "hint"),
    [
        ("cuda", "linux", "pip uninstall onnxruntime-x && pip install 'onnxruntime-gpu[cuda,cudnn]'"),
        ("openvino", "linux", "pip install 'onnxruntime-openvino'"),
        ("directml", "linux", "this device is there on Windows alone"),
        ("directml", "win32", "pip install 'onnxruntime-directml'"),
        ("coreml", "linux", "this device is there on macOS alone"),
    ],
)
def test_a_build_without_the_provider(
    fake: Any, monkeypatch: pytest.MonkeyPatch, kind: Any, platform: str, hint: str
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDERS["cpu"].name])
    monkeypatch.setattr(onnxruntime, "package_name", "onnxruntime-x", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(DeviceError) as caught:
        require(Device(kind, "0"))
    assert f"onnxruntime-x {onnxruntime.__version__} is built without {PROVIDERS[kind].name}" in str(caught.value)
    assert hint in str(caught.value)


def test_trying_tensorrt_leaves_no_engines(fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("I2I_CACHE", str(tmp_path))
    assert problem(Device("tensorrt", "0")) is None
    assert list(tmp_path.iterdir()) == []


def test_tensorrt_names_the_wheel_of_its_libraries(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "lacks", frozenset({PROVIDERS["tensorrt"].name}))
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    monkeypatch.setattr(trial, "_missing", lambda kind, said: "libnvinfer.so.10 is not found")
    reasons = problem(Device("tensorrt", "0"))
    assert reasons == ("libnvinfer.so.10 is not found", "Use cuda, or: pip install 'tensorrt-cu13-libs==10.*'")


def test_a_device_that_leaves_the_convolution_to_the_cpu_does_not_work(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "takes_nothing", True)
    assert problem(Device("coreml")) == ("it takes no convolution", "Use cpu.")


def test_a_lack_of_memory_is_not_remembered(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: Any, outputs: Any, inputs: Any) -> Any:
        raise RuntimeError("CUDA failure 2: out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(fake, "run", run, raising=False)
        assert problem(Device("cuda", "0")) == (
            "its memory does not suffice",
            "Use cpu, or end what else takes it.",
        )
    assert problem(Device("cuda", "0")) is None


def test_a_device_is_tried_once_however_it_was_chosen(fake: Any) -> None:
    require(Device("cuda", "0", named=False))
    require(Device("cuda", "0"))
    assert len(fake.opened) == 1


def test_the_cpu_works_and_has_the_threads_that_are_ours(tmp_path: Path, models: Any) -> None:
    trial.tried.cache_clear()
    assert problem(Device("cpu")) is None
    inference = Opener(Device("cpu"), tmp_path / "m.onnx").open(models.build(tmp_path / "m.onnx"))
    assert inference.get_session_options().intra_op_num_threads == usable_cores()
