"""A graph that is opened on a device, and runs there: at once, or with its kernels recorded and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import onnxruntime

from i2i.errors import ArtifactError, OutOfMemoryError
from i2i.runtime.devices.providers import lacks_memory
from i2i.runtime.model.onnxfile import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_KEPT: Final = 2**20  # bytes of input up to which a run keeps its memory for the next; more would count as taken there


@final
class Graph:
    """An ONNX graph on a device.

    giving_back: options for runs on large inputs, by which their memory goes back to the system.
    """

    def __init__(
        self,
        inference: Any,
        name: str,
        replay: Replay | None = None,
        giving_back: onnxruntime.RunOptions | None = None,
    ) -> None:
        self.inference = inference
        self._giving_back = giving_back
        self._name = name
        self._replay = replay

    def run(
        self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]], work: str | None = None
    ) -> list[NDArray[Any]]:
        """The named outputs for the inputs, in the order of their names.

        work: what it is busy with, like '640 x 480 pixels', for the errors: OutOfMemoryError where memory does not
        suffice, and ArtifactError where the graph fails otherwise.
        """
        large = sum(value.nbytes for value in inputs.values()) > _KEPT
        try:
            if self._replay is not None:
                return self._replay.run(outputs, inputs)
            made: list[NDArray[Any]] = self.inference.run(
                list(outputs), dict(inputs), self._giving_back if large else None
            )
        except Exception as error:  # onnxruntime's errors have no common base but this
            busy = work or ", ".join(f"{name} {list(value.shape)}" for name, value in inputs.items())
            if lacks_memory(error):
                raise OutOfMemoryError(f"{busy} do not fit into memory") from error
            raise ArtifactError(
                f"{self._name}: fails at {busy}: {shown(str(error))}", "Export the model again."
            ) from error
        return made


@final
class Replay:
    """Runs a graph at fixed addresses, so that its kernels are recorded once in a CUDA graph and then replayed.

    Without it, the processor launches every kernel anew, which for small tiles takes longer than to compute them. The
    first run finds the shapes of the outputs, and the next ones record, as onnxruntime's `enable_cuda_graph` wants it.
    What cannot be recorded, or comes in other shapes than at first, runs as it would without.
    """

    def __init__(self, inference: Any, device: str, index: int) -> None:
        self._inference = inference
        self._device = device, index
        self._plain = onnxruntime.RunOptions()
        self._plain.add_run_config_entry("gpu_graph_id", "-1")  # neither records nor replays
        self._binding: Any = None
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._able = True

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs for the inputs; raises what onnxruntime raises."""
        values = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        if self._binding is None:
            self._bind(outputs, values)
        if self._able and list(outputs) == list(self._outputs) and self._same_shapes(values):
            try:
                for name, value in values.items():
                    self._inputs[name].update_inplace(value)
                self._inference.run_with_iobinding(self._binding)
                return [np.array(value.numpy()) for value in self._outputs.values()]  # the next run writes there
            except Exception as error:
                if lacks_memory(error):
                    raise
                self._able = False
        made: list[NDArray[Any]] = self._inference.run(list(outputs), values, self._plain)
        return made

    def _bind(self, outputs: Sequence[str], values: Mapping[str, NDArray[Any]]) -> None:
        """Takes memory for the inputs, and keeps what a first run took for the outputs."""
        binding = self._inference.io_binding()
        for name, value in values.items():
            self._inputs[name] = onnxruntime.OrtValue.ortvalue_from_numpy(value, *self._device)
            binding.bind_ortvalue_input(name, self._inputs[name])
        for name in outputs:
            binding.bind_output(name, *self._device)
        self._inference.run_with_iobinding(binding, self._plain)
        self._outputs = dict(zip(outputs, binding.get_outputs(), strict=True))
        for name, value in self._outputs.items():
            binding.bind_ortvalue_output(name, value)
        self._binding = binding

    def _same_shapes(self, values: Mapping[str, NDArray[Any]]) -> bool:
        return all(list(value.shape) == self._inputs[name].shape() for name, value in values.items())
