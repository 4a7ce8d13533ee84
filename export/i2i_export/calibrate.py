"""What values the tensors of a graph take on given inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper

from i2i.runtime.devices.device import usable_cores
from i2i.runtime.devices.saturation import EXACT, saturates

Inputs = Mapping[str, NDArray[Any]]


class Range(NamedTuple):
    """The least and the largest value of a tensor."""

    low: float
    high: float

    @property
    def largest(self) -> float:
        """The largest distance from 0."""
        return max(-self.low, self.high)


def observe(model: ModelProto, tensors: Sequence[str], cases: Iterable[Inputs]) -> dict[str, Range]:
    """The ranges of `tensors`, of float32, where the graph is run on the cases."""
    opened = ModelProto()
    opened.CopyFrom(model)
    shown = {value.name for value in model.graph.output}
    opened.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors if name not in shown)
    found: dict[str, Range] = {}
    for values in _run(opened, tensors, cases):
        for name, value in zip(tensors, values, strict=True):
            known = found.get(name, Range(np.inf, -np.inf))
            ends = np.minimum(known.low, value.min()), np.maximum(known.high, value.max())  # NaN stays
            found[name] = Range(*(float(end) for end in ends))
    return found


def outputs(model: ModelProto, cases: Iterable[Inputs]) -> list[NDArray[np.uint8]]:
    """What the graph makes of each case, on the CPU."""
    return [made for (made,) in _run(model, [model.graph.output[0].name], cases)]


def _run(model: ModelProto, tensors: Sequence[str], cases: Iterable[Inputs]) -> Iterator[list[NDArray[Any]]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    if saturates():
        options.add_session_config_entry(EXACT, "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for inputs in cases:
        yield session.run(list(tensors), dict(inputs))
