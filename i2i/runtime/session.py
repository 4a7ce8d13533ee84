"""An artifact made ready to run: opened on a device, its description read, its signature checked."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from i2i.artifact import INPUT, OUTPUT, Description, describe
from i2i.errors import ArtifactError, DeviceError, ImageError
from i2i.runtime import onnxfile
from i2i.runtime.device import Device, choose, usable_cores

if TYPE_CHECKING:
    from pathlib import Path

Pixels = NDArray[np.uint8]

_FATAL = 4  # what onnxruntime logs below this arrives here as an exception, or is of no use to a user
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@final
class Session:
    """A model on a device."""

    def __init__(
        self, inference: onnxruntime.InferenceSession, description: Description, name: str, note: str | None = None
    ) -> None:
        self.description = description
        self.name = name
        self.note = note  # why a GPU that is there is not used
        self.provider: str = inference.get_providers()[0]
        options = inference.get_provider_options().get(_CUDA, {})
        self.device = f"cuda:{options.get('device_id', 0)}" if self.provider == _CUDA else "cpu"
        self._inference = inference

    def run(self, pixels: Pixels) -> Pixels:
        """Translates uint8 `[N, H, W, C]`, H and W as the description asks, to `[N, H*scale, W*scale, C']`.

        Raises ImageError where memory does not suffice, and ArtifactError where the model fails or breaks its word.
        """
        images, height, width, _ = pixels.shape
        try:
            translated = self._inference.run([OUTPUT], {INPUT: pixels})[0]
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise _failure(error, self.name, height, width) from error
        scale = self.description.scale
        promised = (images, height * scale, width * scale, self.description.channels_out)
        if translated.dtype != np.uint8 or translated.shape != promised:
            raise ArtifactError(
                f"{self.name}: gave {translated.dtype} {list(translated.shape)} where its description promises "
                f"uint8 {list(promised)}",
                "Export the model again.",
            )
        result: Pixels = translated
        return result


def find_model(path: Path) -> Path:
    """The model that `path` names, itself or as a run directory; raises ArtifactError where there is none."""
    if path.is_dir():
        if not (path / "model.onnx").is_file():
            raise ArtifactError(
                f"{path}: holds no model.onnx",
                f"If it is a run, `i2i export {path}` makes it; otherwise give an .onnx file.",
            )
        return path / "model.onnx"
    if not path.is_file():
        raise ArtifactError(f"{path}: there is no such file", "Give an .onnx file or a run directory.")
    return path


def open_session(path: Path, device: str = "auto", *, once: bool = False) -> Session:
    """Opens the artifact at `path` (or in that run directory) on `auto`, `cpu`, `cuda` or `cuda:N`.

    once: spare what pays only from the second image on: opens a large model in a quarter of the time.
    Raises DeviceError where a named device cannot be had, and ArtifactError for a file that is no artifact.
    """
    chosen = choose(device)
    path = find_model(path)
    onnxfile.check(path)
    onnxruntime.set_default_logger_severity(_FATAL)
    note = None
    if chosen.kind == "cuda":
        try:
            inference = _on_cuda(path, chosen, once)
        except DeviceError as error:
            if chosen.named:
                raise
            note = str(error)
            inference = _infer(path, [_CPU], once)
    else:
        inference = _infer(path, [_CPU], once)
    description = describe(inference.get_modelmeta().custom_metadata_map, str(path))
    _check_signature(inference, description, str(path))
    return Session(inference, description, str(path), note)


def _on_cuda(path: Path, device: Device, once: bool) -> onnxruntime.InferenceSession:
    """The model on a CUDA device; DeviceError where that fails."""
    said = io.StringIO()
    cure = "pip install 'onnxruntime-gpu[cuda,cudnn]'"
    if _CUDA not in onnxruntime.get_available_providers():
        reason = "this onnxruntime is built without CUDA"
        cure = f"pip uninstall onnxruntime && {cure}"
    else:
        with redirect_stdout(said):  # it prints which libraries it misses
            onnxruntime.preload_dlls()
        # HEURISTIC: the default tries every algorithm again for every new image size, for hundreds of milliseconds.
        options = {"device_id": str(device.index), "cudnn_conv_algo_search": "HEURISTIC"}
        try:
            inference = _infer(path, [(_CUDA, options), _CPU], once)
        except ArtifactError as error:
            # Only a model that opens on the CPU blames the device.
            _infer(path, [_CPU], once)
            reason = f"onnxruntime cannot use it: {error.__cause__}"
        else:
            if inference.get_providers()[0] == _CUDA:
                return inference
            reason = f"onnxruntime cannot use it: {_first_line(said.getvalue()) or 'CUDA or cuDNN is missing'}"
    raise DeviceError(f"device '{device}': {reason}", f"Use cpu, or install what is missing: {cure}")


def _infer(path: Path, providers: list[Any], once: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if once:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = usable_cores()
    try:
        # Its fall-back to another provider would be silent for the user, but for lines printed to stdout.
        return onnxruntime.InferenceSession(path, options, providers=providers, enable_fallback=0)
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise ArtifactError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot open it: {_first_line(str(error))}",
            "Export the model again, or give another one with -m.",
        ) from error


def _check_signature(inference: onnxruntime.InferenceSession, description: Description, name: str) -> None:
    sides = (
        ("input", INPUT, description.channels_in, inference.get_inputs()),
        ("output", OUTPUT, description.channels_out, inference.get_outputs()),
    )
    for side, wanted, channels, found in sides:
        if len(found) == 1 and found[0].name == wanted and found[0].type == "tensor(uint8)":
            *free, last = found[0].shape or [None]
            fixed = any(isinstance(extent, int) for extent in free)
            if len(free) == 3 and not fixed and (last == channels or not isinstance(last, int)):
                continue
        seen = ", ".join(f"'{it.name}' {it.type} {it.shape}" for it in found)
        raise ArtifactError(
            f"{name}: its {side} is {seen}, not '{wanted}' tensor(uint8) [N, H, W, {channels}]",
            "Export it again with this version of i2i.",
        )


def _failure(error: Exception, name: str, height: int, width: int) -> ArtifactError | ImageError:
    text = str(error)
    if any(sign in text for sign in ("bad_alloc", "Failed to allocate", "out of memory", "CUDA failure 2")):
        return ImageError(
            f"{width} x {height} pixels do not fit into memory", "Make the image smaller, or use another --device."
        )
    return ArtifactError(f"{name}: fails at {width} x {height} pixels: {_first_line(text)}", "Export the model again.")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
