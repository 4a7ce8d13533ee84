"""An artifact made ready to run: opened on a device, its description read, its signature checked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

import numpy as np

from i2i.artifact import INPUT, LABEL, NOISE, OUTPUT
from i2i.errors import ArtifactError, DeviceError, OutOfMemoryError
from i2i.images import Pixels
from i2i.memory import free_memory
from i2i.runtime.devices import cuda
from i2i.runtime.devices.device import Device, choose
from i2i.runtime.devices.providers import Fixed, Opener, operators
from i2i.runtime.devices.trial import require
from i2i.runtime.graph import Graph, Replay
from i2i.runtime.model.find import read_description
from i2i.runtime.model.onnxfile import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from i2i.artifact import Description, Kind

_LARGE: Final = 2**26  # bytes of a model whose opening takes longer than what is lost on an image of 256 pixels
_DOES: Final[dict[Kind, tuple[str, str]]] = {
    "image": ("translates images, and makes none from noise", "Use: i2i translate IMAGE -m {}"),
    "noise": ("makes images from noise, and translates none", "Use: i2i generate {}"),
}


@final
class Session:
    """A model on a device."""

    def __init__(self, inference: Any, description: Description, opener: Opener, note: str | None = None) -> None:
        self.description = description
        self.name = str(opener.model)
        self.note = note  # why a GPU that is there is not used
        self.provider: str = inference.get_providers()[0]
        self.device = str(opener.device)
        self.lanes = opener.lanes  # runs that may go on at once
        self._opener = replace(opener, once=False)  # for graphs that are run piece by piece
        self._graph = Graph(inference, self.name, giving_back=opener.giving_back())

    def run(self, inputs: Mapping[str, NDArray[Any]], promised: tuple[int, int, int, int], work: str) -> Pixels:
        """Gives the inputs to the model and takes its output, uint8 `[N, H, W, C]` of the `promised` shape.

        work: what it is busy with, like '640 x 480 pixels', for the errors: OutOfMemoryError where memory does not
        suffice, and ArtifactError where the model fails or breaks its word.
        """
        try:
            made = self._graph.run([OUTPUT], inputs, work)[0]
        except OutOfMemoryError as error:
            cure = "Make the image smaller, or use" if self.description.kind == "image" else "Use"
            raise OutOfMemoryError(error.message, f"{cure} another --device.") from error
        if made.dtype != np.uint8 or made.shape != promised:
            raise ArtifactError(
                f"{self.name}: gave {made.dtype} {list(made.shape)} where its description promises "
                f"uint8 {list(promised)}",
                "Export the model again.",
            )
        result: Pixels = made
        return result

    def sibling(self, model: bytes, *, fixed: Fixed | None = None, engines: Path | None = None) -> Graph:
        """Another graph, opened on the same device with the same options.

        fixed: the one shape that its first input of four dimensions will ever have: it is planned for that alone, and
        on a CUDA device its kernels are recorded and replayed. engines: the folder of TensorRT's; None: as the model's.
        Raises ArtifactError where onnxruntime cannot open it, and OutOfMemoryError.
        """
        opener, device = replace(self._opener, engines=engines), self._opener.device
        if fixed and device.kind == "cuda":
            try:
                recorded = opener.open(model, fixed, record=True)
            except ArtifactError:  # part of it is left to the CPU, or it has branches
                pass
            else:
                return Graph(recorded, self.name, Replay(recorded, "cuda", int(device.part)))
        return Graph(opener.open(model, fixed), self.name)

    def operators(self) -> dict[str, int]:
        """How many operators of the model run on each provider; empty where onnxruntime, before 1.24, does not tell."""
        return dict(operators(self._graph.inference))

    def free_memory(self) -> int:
        """The bytes that each of `lanes` runs may take: of the GPU that CUDA or TensorRT uses, else of the machine."""
        device = self._opener.device
        free = cuda.free_memory(int(device.part)) if device.kind in ("cuda", "tensorrt") else free_memory()
        return free // self.lanes


def open_session(
    path: Path, kind: Kind, device: str = "auto", *, once: bool = False, parallel: bool = False
) -> Session:
    """Opens the artifact at `path`, which is to be of `kind`, on `auto` or a device like `cpu` or `cuda:1`.

    What was named is what runs. once: of a large model, spare what pays only from the second small image on: it is
    opened in a quarter of the time. parallel: for as many runs at once as the session then has `lanes`.
    Raises DeviceError where a named device cannot be had, ArtifactError for a file that is no such artifact, and
    OutOfMemoryError.
    """
    chosen = choose(device)
    description = read_description(path)
    if description.kind != kind:
        does, instead = _DOES[description.kind]
        raise ArtifactError(f"{path}: {does}", instead.format(path))
    # Quantized operators are only joined by the optimization that this spares.
    once = once and description.precision == "fp32" and path.stat().st_size >= _LARGE
    opener, note = Opener(chosen, path, description.precision, once, parallel), None
    try:
        require(chosen)
        inference = opener.open(path)
    except (ArtifactError, DeviceError, OutOfMemoryError) as error:
        if chosen.named or chosen.kind == "cpu":
            raise
        note = str(error)
        opener = replace(opener, device=Device("cpu", named=False))
        inference = opener.open(path)
    try:
        _check_signature(inference, description, str(path))
    except UnicodeDecodeError:  # in what onnxruntime was asked for
        raise ArtifactError(f"{path}: its input or output has a name that is no text", "Export it again.") from None
    return Session(inference, description, opener, note)


def _check_signature(inference: Any, description: Description, name: str) -> None:
    for side, wanted, found in (
        ("input", _inputs(description), inference.get_inputs()),
        ("output", [_output(description)], inference.get_outputs()),
    ):
        there = {tensor.name: tensor for tensor in found}
        if len(found) == len(wanted) and all(_fits(tensor, there.get(tensor.name)) for tensor in wanted):
            continue
        seen = shown(", ".join(f"'{it.name}' {it.type} {it.shape}" for it in found))
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
        right != 0 and (not isinstance(extent, int) or extent == right)
        for extent, right in zip(found.shape, wanted.shape, strict=True)
    )
