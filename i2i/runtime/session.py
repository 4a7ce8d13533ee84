"""An artifact made ready to run: opened on a device, its description read, its signature checked."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from i2i.artifact import INPUT, LABEL, NOISE, OUTPUT, Description
from i2i.errors import ArtifactError, DeviceError, ImageError
from i2i.images import Pixels
from i2i.runtime.device import Device, choose, usable_cores
from i2i.runtime.find import read_description

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from i2i.artifact import Kind

_FATAL = 4  # what onnxruntime logs below this arrives here as an exception, or is of no use to a user
_DOES: Final[dict[Kind, tuple[str, str]]] = {
    "image": ("translates images, and makes none from noise", "Use: i2i translate IMAGE -m {}"),
    "noise": ("makes images from noise, and translates none", "Use: i2i generate {}"),
}
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

    def run(self, inputs: Mapping[str, NDArray[Any]], promised: tuple[int, int, int, int], work: str) -> Pixels:
        """Gives the inputs to the model and takes its output, uint8 `[N, H, W, C]` of the `promised` shape.

        work: what it is busy with, like '640 x 480 pixels', for the errors: ImageError where memory does not suffice,
        and ArtifactError where the model fails or breaks its word.
        """
        try:
            made = self._inference.run([OUTPUT], inputs)[0]
        except Exception as error:  # onnxruntime's errors have no common base but this
            raise self._failure(str(error), work) from error
        if made.dtype != np.uint8 or made.shape != promised:
            raise ArtifactError(
                f"{self.name}: gave {made.dtype} {list(made.shape)} where its description promises "
                f"uint8 {list(promised)}",
                "Export the model again.",
            )
        result: Pixels = made
        return result

    def _failure(self, text: str, work: str) -> ArtifactError | ImageError:
        if any(sign in text for sign in ("bad_alloc", "Failed to allocate", "out of memory", "CUDA failure 2")):
            cure = "Make the image smaller, or use" if self.description.kind == "image" else "Use"
            return ImageError(f"{work} do not fit into memory", f"{cure} another --device.")
        return ArtifactError(f"{self.name}: fails at {work}: {_first_line(text)}", "Export the model again.")


def open_session(path: Path, kind: Kind, device: str = "auto", *, once: bool = False) -> Session:
    """Opens the artifact at `path`, which is to be of `kind`, on `auto`, `cpu`, `cuda` or `cuda:N`.

    once: spare what pays only from the second run on: opens a large model in a quarter of the time.
    Raises DeviceError where a named device cannot be had, and ArtifactError for a file that is no such artifact.
    """
    chosen = choose(device)
    description = read_description(path)
    if description.kind != kind:
        does, instead = _DOES[description.kind]
        raise ArtifactError(f"{path}: {does}", instead.format(path))
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
    for side, wanted, found in (
        ("input", _inputs(description), inference.get_inputs()),
        ("output", [_output(description)], inference.get_outputs()),
    ):
        there = {tensor.name: tensor for tensor in found}
        if len(found) == len(wanted) and all(_fits(tensor, there.get(tensor.name)) for tensor in wanted):
            continue
        seen = ", ".join(f"'{it.name}' {it.type} {it.shape}" for it in found)
        right = ", ".join(f"'{it.name}' {it.type} [{', '.join(map(str, it.shape))}]" for it in wanted)
        raise ArtifactError(f"{name}: its {side} is {seen}, not {right}", "Export it again with this version of i2i.")


class _Tensor(NamedTuple):
    """An input or output: of its shape, what is a name must be free, and what is a number may be free."""

    name: str
    type: str
    shape: tuple[str | int, ...]


def _inputs(description: Description) -> list[_Tensor]:
    if description.kind == "image":
        return [_Tensor(INPUT, "tensor(uint8)", ("N", "H", "W", description.channels_in))]
    label = [_Tensor(LABEL, "tensor(int64)", ("N",))] if description.classes else []
    return [_Tensor(NOISE, "tensor(float)", ("N", description.noise)), *label]


def _output(description: Description) -> _Tensor:
    sides = ("H", "W") if description.kind == "image" else (description.size, description.size)
    return _Tensor(OUTPUT, "tensor(uint8)", ("N", *sides, description.channels_out))


def _fits(wanted: _Tensor, found: Any) -> bool:
    if found is None or found.type != wanted.type or len(found.shape or []) != len(wanted.shape):
        return False
    return all(
        not isinstance(extent, int) or extent == right for extent, right in zip(found.shape, wanted.shape, strict=True)
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
