"""onnxruntime's execution providers, and the options with which graphs are opened on them.

What was run: CPU, and OpenVINO on the CPU. CUDA, TensorRT, CoreML and DirectML
follow the documentation of onnxruntime (onnxruntime.ai/docs/execution-providers), and the names of options were looked
up in the providers' libraries; they were not run.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import onnxruntime

from i2i.errors import ArtifactError, DeviceError, OutOfMemoryError
from i2i.memory import free_memory
from i2i.runtime.devices import cuda, tensorrt
from i2i.runtime.devices.device import usable_cores
from i2i.runtime.devices.saturation import EXACT, saturates
from i2i.runtime.model import onnxfile

if TYPE_CHECKING:
    from i2i.artifact import Precision
    from i2i.runtime.devices.device import Device, Kind

_FATAL: Final = 4  # what onnxruntime logs below this arrives here as an exception, or is of no use to a user
_ARENA: Final = 0.9  # of the free memory; images and Python have the rest
_NO_MEMORY: Final = (  # what CPU, its arena, CUDA, cuDNN and cuBLAS, TensorRT, DirectML and OpenVINO say
    "bad_alloc",
    "Failed to allocate",
    "is smaller than requested bytes",
    "out of memory",
    "CUDA failure 2:",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "OutOfMemory",
    "8007000E",
    "Exceeded max size of memory",
)
Fixed = tuple[int, int, int, int]


class _Provider(NamedTuple):
    """onnxruntime's name, and the package of pip that brings it together with all that it needs."""

    name: str
    package: str


PROVIDERS: Final[dict[Kind, _Provider]] = {
    "cpu": _Provider("CPUExecutionProvider", "onnxruntime"),
    "cuda": _Provider("CUDAExecutionProvider", "onnxruntime-gpu[cuda,cudnn]"),
    "tensorrt": _Provider("TensorrtExecutionProvider", "onnxruntime-gpu[cuda,cudnn]"),
    "coreml": _Provider("CoreMLExecutionProvider", "onnxruntime"),
    "directml": _Provider("DmlExecutionProvider", "onnxruntime-directml"),
    "openvino": _Provider("OpenVINOExecutionProvider", "onnxruntime-openvino"),
}
WHEELS: Final = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")  # one at a time


@dataclass(frozen=True)
class Opener:
    """Opens the graphs of one model on one device, all with the same options.

    once: spare what pays only from the second run on: opens a large model in a quarter of the time.
    parallel: for as many runs at once as `lanes`. engines: the folder of TensorRT's engines; None: beside the model.
    """

    device: Device
    model: Path
    precision: Precision = "fp32"
    once: bool = False
    parallel: bool = False
    engines: Path | None = None

    @property
    def lanes(self) -> int:
        """The runs that may go on at once: on the CPU one for each core, where `parallel`.

        A core that has an image to itself waits for no other: of many images, that is the faster way.
        """
        return usable_cores() if self.parallel and self.device.kind == "cpu" else 1

    def giving_back(self) -> onnxruntime.RunOptions:
        """Options of a run that afterwards gives its memory back to the system, instead of keeping it for the next."""
        options = onnxruntime.RunOptions()
        on_gpu = f";gpu:{self.device.part}" if self.device.kind in ("cuda", "tensorrt") else ""
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"cpu:0{on_gpu}")
        return options

    def open(self, graph: Path | bytes, fixed: Fixed | None = None, *, record: bool = False) -> Any:
        """An InferenceSession of a file, or of the bytes of a model.

        fixed: the one shape that its first input of four dimensions will have. record: its kernels are to be recorded
        in a CUDA graph. Raises ArtifactError where onnxruntime cannot open it, DeviceError where the device does not
        take it, and OutOfMemoryError.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _FATAL
        if self.device.kind != "cpu":  # what comes of loading a provider is logged for the whole process
            onnxruntime.set_default_logger_severity(_FATAL)
        options.intra_op_num_threads = max(1, usable_cores() // self.lanes)
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if _one_arena():
            options.add_session_config_entry("session.use_env_allocators", "1")
        if self.once:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.add_session_config_entry("session.disable_prepacking", "1")
        if self.precision == "int8" and self.device.kind == "cpu" and saturates():
            options.add_session_config_entry(EXACT, "1")
        if self.device.kind == "directml":  # the provider refuses patterns of memory and parallel execution
            options.enable_mem_pattern = False
            options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        if fixed and isinstance(graph, bytes):
            # With its dimensions known, a graph is planned, compiled and folded when it is opened, and only once.
            for name, extent in zip(onnxfile.first_image(graph), fixed, strict=False):
                if isinstance(name, str) and name:
                    options.add_free_dimension_override_by_name(name, extent)
        providers = [*self._providers(graph, fixed, record=record), (PROVIDERS["cpu"].name, {})]
        try:
            # Its fall-back to another provider would be silent for the user, but for lines printed to stdout.
            inference = onnxruntime.InferenceSession(graph, options, providers=providers, enable_fallback=0)
        except Exception as error:  # onnxruntime's errors have no common base but this
            if lacks_memory(error):
                raise OutOfMemoryError(f"{self.model}: does not fit into memory", "Use another --device.") from error
            raise ArtifactError(
                f"{self.model}: onnxruntime {onnxruntime.__version__} cannot open it: {onnxfile.shown(str(error))}",
                "Export the model again, or give another one with -m.",
            ) from error
        provider = providers[0][0]
        if inference.get_providers()[0] != provider:
            raise DeviceError(f"device '{self.device}': onnxruntime does not open {self.model} on it", "Use cpu.")
        # A part of the model may well hold nothing that the provider takes.
        if isinstance(graph, Path) and (taken := operators(inference)) and provider not in taken:
            raise DeviceError(f"device '{self.device}': it takes none of the operators of {self.model}", "Use cpu.")
        return inference

    def _providers(self, graph: Path | bytes, fixed: Fixed | None, *, record: bool) -> list[tuple[str, dict[str, str]]]:
        """The provider of the device with its options, and the one that comes before the CPU for the rest."""
        name, part = PROVIDERS[self.device.kind].name, self.device.part
        match self.device.kind:
            case "cpu":
                return []
            case "cuda":
                return [(name, _on_cuda(part, record=record))]
            case "tensorrt":
                return [(name, self._on_tensorrt(graph, fixed)), (PROVIDERS["cuda"].name, _on_cuda(part, record=False))]
            case "coreml":
                return [(name, {"ModelFormat": "MLProgram"})]  # the older format computes in float16
            case "directml":
                return [(name, {"device_id": part})]
            case "openvino":
                return [(name, _on_openvino(part))]

    def _on_tensorrt(self, graph: Path | bytes, fixed: Fixed | None) -> dict[str, str]:
        """Engines in the precision of the model, kept between runs: to build one takes minutes.

        With the dimensions of the input fixed, its profile has one shape. Without, TensorRT widens the profile and
        builds anew whenever an image comes that is smaller or larger than all before.
        """
        if self.precision == "int8":
            raise DeviceError(
                f"device '{self.device}': TensorRT takes int8 without zero points alone, and {self.model} has them",
                "Use the model in fp16, or cpu.",
            )
        # Its flags are "True" and "False"; those of CUDA are "1" and "0".
        options = {"device_id": self.device.part, "trt_fp16_enable": str(self.precision == "fp16")}
        if folder := self.engines or self._engine_folder(graph, fixed):
            options |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder)}
            options |= {"trt_timing_cache_enable": "True", "trt_timing_cache_path": str(folder)}
        return options

    def _engine_folder(self, graph: Path | bytes, fixed: Fixed | None) -> Path | None:
        gpu = cuda.gpu(int(self.device.part))
        return tensorrt.engine_folder(
            self.model,
            graph.read_bytes() if isinstance(graph, Path) else graph,
            "x".join(map(str, fixed)) if fixed else "any",
            f"onnxruntime{onnxruntime.__version__}",
            f"tensorrt{tensorrt.load_libraries()}",
            f"{gpu.name}_{gpu.capability}",
        )


def _on_cuda(part: str, *, record: bool) -> dict[str, str]:
    return {
        "device_id": part,
        # The default tries every algorithm again for every new image size, for hundreds of milliseconds.
        "cudnn_conv_algo_search": "HEURISTIC",
        # The default takes twice as much memory each time, which an image of another size then lacks.
        "arena_extend_strategy": "kSameAsRequested",
        # 10 bits of each factor, as tensor cores take them: 64 to 69 dB from float32, and never more than 1 of 255.
        "use_tf32": "1",
        "enable_cuda_graph": "1" if record else "0",
    }


def _on_openvino(part: str) -> dict[str, str]:
    """Computing in the precision of the model: on its own, OpenVINO takes bfloat16 or float16 where that is faster."""
    unit = part.upper()
    load: dict[str, str] = {"EXECUTION_MODE_HINT": "ACCURACY"}
    load |= {"INFERENCE_NUM_THREADS": str(usable_cores())} if unit == "CPU" else {}
    return {"device_type": unit, "load_config": json.dumps({unit: load})}


def lacks_memory(error: Exception) -> bool:
    """Whether an error of onnxruntime's says that memory does not suffice."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY)


def operators(inference: Any) -> Counter[str]:
    """How many operators of a graph each provider has taken; none where onnxruntime, before 1.24, does not tell."""
    taken: Counter[str] = Counter()
    for part in getattr(inference, "get_provider_graph_assignment_info", list)():
        taken[part.ep_name] += len(part.get_nodes())
    return taken


@cache
def _one_arena() -> bool:
    """Makes the memory that all graphs of this process take on the CPU one, and bounds it; whether that went well.

    Beyond what the machine has, Linux grants memory and then kills who uses it; an arena with a bound says no instead,
    and a smaller tile can be tried. One for all, growing by what is asked for, holds a quarter less than one for each.
    """
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    arena = onnxruntime.OrtArenaCfg({"max_mem": int(_ARENA * free_memory()), "arena_extend_strategy": 1})
    try:
        onnxruntime.create_and_register_allocator(memory, arena)
    except Exception:  # the program that i2i is part of has registered one of its own
        return False
    return True
