"""The providers that the tests' machine lacks are stood in for at onnxruntime's border."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from i2i.errors import ArtifactError, DeviceError
from i2i.runtime.devices.providers import PROVIDERS
from i2i.runtime.session import open_session
from i2i.runtime.translator import Translator


@pytest.mark.parametrize("wanted", ["cuda:1", "tensorrt:1", "coreml", "directml:1", "openvino", "openvino:gpu"])
def test_what_was_asked_for_is_what_runs(fake: Any, tmp_path: Path, models: Any, wanted: str) -> None:
    translator = Translator.load(models.build(tmp_path / "m.onnx"), wanted)
    kind, _, part = wanted.partition(":")
    assert translator.provider == PROVIDERS[kind].name  # type: ignore[index]
    assert translator.device == (wanted if part or kind == "coreml" else "openvino:cpu")
    assert (translator(np.full((2, 2, 3), 5, np.uint8)) == 250).all()
    asked = fake.opened[-1].asked
    assert list(asked)[-1] == PROVIDERS["cpu"].name
    if part.isdecimal():
        assert {options["device_id"] for name, options in asked.items() if name != PROVIDERS["cpu"].name} == {part}


def test_options_of_cuda(fake: Any, tmp_path: Path, models: Any) -> None:
    Translator.load(models.build(tmp_path / "m.onnx"), "cuda")
    asked = fake.opened[-1].asked[PROVIDERS["cuda"].name]
    assert asked["cudnn_conv_algo_search"] == "HEURISTIC"
    assert asked["arena_extend_strategy"] == "kSameAsRequested"
    assert asked["enable_cuda_graph"] == "0"


def test_openvino_keeps_the_precision_of_the_model(fake: Any, tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    Translator.load(path, "openvino")
    asked = fake.opened[-1].asked[PROVIDERS["openvino"].name]
    assert asked["device_type"] == "CPU"
    assert json.loads(asked["load_config"])["CPU"]["EXECUTION_MODE_HINT"] == "ACCURACY"
    Translator.load(path, "openvino:npu")
    assert fake.opened[-1].asked[PROVIDERS["openvino"].name]["device_type"] == "NPU"


def test_directml_runs_without_patterns_of_memory(fake: Any, tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    Translator.load(path, "directml")
    assert not fake.opened[-1].options.enable_mem_pattern
    Translator.load(path, "cuda")
    assert fake.opened[-1].options.enable_mem_pattern


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_of_tensorrt(fake: Any, tmp_path: Path, models: Any, precision: str) -> None:
    path = models.build(tmp_path / "m.onnx", precision=precision)
    Translator.load(path, "tensorrt")
    asked = fake.opened[-1].asked
    assert list(asked) == [PROVIDERS["tensorrt"].name, PROVIDERS["cuda"].name, PROVIDERS["cpu"].name]
    options = asked[PROVIDERS["tensorrt"].name]
    assert options["trt_fp16_enable"] == str(precision == "fp16")
    assert {value for name, value in options.items() if name.endswith("_cache_enable")} == {"True"}  # not "1"
    folder = Path(options["trt_engine_cache_path"])
    assert folder.parent == tmp_path / "m.tensorrt"
    assert folder.is_dir()
    assert options["trt_timing_cache_path"] == str(folder)
    assert f"onnxruntime{onnxruntime.__version__}" in folder.name
    assert "GPU_number_0_9.0" in folder.name


def test_a_provider_that_takes_no_operator_is_an_error(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models.build(tmp_path / "m.onnx")
    assert open_session(path, "image", "coreml").operators() == {PROVIDERS["coreml"].name: 6}
    monkeypatch.setattr(fake, "takes_nothing", True)
    with pytest.raises(DeviceError, match=r"device 'coreml': it takes none of the operators of .*m\.onnx\n  Use cpu"):
        open_session(path, "image", "coreml")


def test_engines_of_a_fixed_shape_lie_apart(fake: Any, tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx")
    session = open_session(path, "image", "tensorrt")
    for side in (4, 8, 4):
        session.sibling(path.read_bytes(), fixed=(1, side, side, 3))
    folders = [opened.asked[PROVIDERS["tensorrt"].name]["trt_engine_cache_path"] for opened in fake.opened[-4:]]
    assert len(set(folders)) == 3
    assert folders[1] == folders[3]


def test_a_broken_model_is_not_the_devices_fault(fake: Any, tmp_path: Path, models: Any) -> None:
    proto = models.graph(models.describe())
    proto.graph.node[0].op_type = "Teleport"
    path = models.save(tmp_path / "m.onnx", proto, models.describe().properties())
    for wanted in ("cuda", "auto"):
        with pytest.raises(ArtifactError, match=r"m\.onnx: onnxruntime .* cannot open it: .*Teleport"):
            Translator.load(path, wanted)


def test_a_model_that_only_the_gpu_refuses_runs_on_the_cpu_under_auto(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models.build(tmp_path / "m.onnx")

    def refuse(model: Any, options: Any, providers: Any, enable_fallback: int) -> Any:
        if model == path and providers[0][0] != PROVIDERS["cpu"].name:
            raise RuntimeError("no kernel")
        return fake(model, options, providers, enable_fallback)

    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(ArtifactError, match="no kernel"):
        Translator.load(path, "cuda")
    translator = Translator.load(path)
    assert translator.device == "cpu"
    assert "no kernel" in str(translator.note)


def test_tensorrt_refuses_int8_with_zero_points(fake: Any, tmp_path: Path, models: Any) -> None:
    path = models.build(tmp_path / "m.onnx", precision="int8")
    with pytest.raises(DeviceError, match=r"takes int8 without zero points alone, and .*m\.onnx has them\n  Use the"):
        Translator.load(path, "tensorrt")


def test_a_part_of_a_model_may_lie_with_the_cpu_alone(
    fake: Any, tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models.build(tmp_path / "m.onnx")
    session = open_session(path, "image", "coreml")
    monkeypatch.setattr(fake, "takes_nothing", True)
    (made,) = session.sibling(path.read_bytes()).run(["output"], {"image": np.full((1, 2, 2, 3), 5, np.uint8)})
    assert (made == 250).all()


def test_runs_at_once_share_the_memory(tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("i2i.runtime.devices.providers.usable_cores", lambda: 3)
    monkeypatch.setattr("i2i.runtime.session.free_memory", lambda: 9_000)
    path = models.build(tmp_path / "m.onnx")
    assert open_session(path, "image", "cpu", parallel=True).free_memory() == 3_000
    assert open_session(path, "image", "cpu").free_memory() == 9_000


def test_what_a_program_around_it_has_onnxruntime_say_stays(
    tmp_path: Path, models: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", asked.append)
    Translator.load(models.build(tmp_path / "m.onnx"), "cpu")
    assert asked == []
